//! Names of assets and points for the engine: places in the plant's tables.

use serde::{Deserialize, Serialize};

/// Index into [`crate::plant::Plant::assets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssetId(pub u32);

/// Index into [`crate::plant::Plant::points`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PointId(pub u32);

impl AssetId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl PointId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl From<AssetId> for usize {
    fn from(id: AssetId) -> Self {
        id.index()
    }
}

impl From<PointId> for usize {
    fn from(id: PointId) -> Self {
        id.index()
    }
}
