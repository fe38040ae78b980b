//! SIP messages, transactions, proxy and registrar rules, digest: pure.
