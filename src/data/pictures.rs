//! placeholder
use super::*;
pub(super) fn load(_o: &LoadOptions) -> Result<ImageSet> { Err(Error::bug("")) }
