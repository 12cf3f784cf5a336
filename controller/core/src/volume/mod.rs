//! The ledger of volumes and of who owns which ordinal.
