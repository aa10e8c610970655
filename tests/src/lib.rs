//! Laboratories that test the product from outside.

#[cfg(test)]
mod acceptance;
pub mod machines;
pub mod namespaces;
#[cfg(test)]
mod rules;
