//! Random bits from the kernel.

use ring::rand::{SecureRandom, SystemRandom};

/// 128 of them.
///
/// # Errors
/// The kernel has none to give: nothing may be started then.
pub(crate) fn bits() -> Result<u128, String> {
    let mut bytes = [0u8; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| "the kernel gives no random numbers".to_owned())?;
    Ok(u128::from_le_bytes(bytes))
}
