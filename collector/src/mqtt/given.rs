//! What a device gives to the plant.

use std::sync::Arc;

use rules::{
    plant::{AssetId, AssetKind, PointId},
    units::Unit,
};

/// A point that a device gives, with what a feed knows it by.
pub(super) struct Given<'p> {
    pub(super) asset: AssetId,
    pub(super) asset_name: &'p str,
    pub(super) kind: AssetKind,
    pub(super) quantity: &'p Arc<str>,
    pub(super) point: PointId,
    pub(super) unit: &'p Unit,
}
