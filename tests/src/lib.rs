//! Laboratories that test the product from outside.

pub mod machines;
pub mod namespaces;
