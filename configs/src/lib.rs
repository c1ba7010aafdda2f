//! Declares: what a site is, what a device's registers mean, what raises an alarm. Files in, checked types out, and for
//! every fault a place and a remedy. Pure: the caller reads the disk.

pub mod address;
pub mod api;
pub mod check;
pub mod codec;
pub mod fault;
pub mod library;
pub mod limits_file;
pub mod polling;
pub mod profile;
pub mod profile_file;
pub mod render;
pub mod rule_file;
pub mod rule_test;
pub mod secret;
pub mod site;
pub mod site_file;
pub mod table;
