//! The world as the tasks share it: one moves it on, the links tell of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::world::World;

#[derive(Clone, Debug)]
pub(crate) struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// Between two steps.
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        // A panic while the hall was stepped shows in the task that panicked; readers go on with what there is.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
