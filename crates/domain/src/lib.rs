//! Users, devices, modes, the behaviour table, wakes and message delivery: pure.
