//! Push clients for the platform clouds: APNs and FCM, outcomes, provider tokens, sealing.
