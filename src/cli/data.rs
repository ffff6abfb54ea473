//! placeholder
use super::args::DataArgs;
use crate::error::Result;
/// placeholder
pub fn run(_a: &DataArgs) -> Result<u8> {
    Ok(0)
}
