//! The batches in flight, and the permits they hold.

/// The place of a batch in flight; given back when the batch comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Permit(usize);

impl Permit {
    /// Of a batch that is run outside a dispatch.
    pub(super) const NONE: Self = Self(usize::MAX);
}

/// At most `max` things in flight, each kept at its permit's place.
pub(super) struct Permits<T> {
    max: usize,
    // Grows to the permits ever used at once, so that a huge bound costs nothing by itself.
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Permits<T> {
    pub(super) fn new(max: usize) -> Self {
        Self { max, places: Vec::new(), free: Vec::new() }
    }

    pub(super) fn taken(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Fewer than are taken is a debt, paid as they are given back.
    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    pub(super) fn has_room(&self) -> bool {
        self.taken() < self.max
    }

    /// Takes a permit for `thing`; there must be room.
    pub(super) fn take(&mut self, thing: T) -> Permit {
        debug_assert!(self.has_room(), "a permit is taken only when there is one");
        match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(thing);
                Permit(place)
            }
            None => {
                self.places.push(Some(thing));
                Permit(self.places.len() - 1)
            }
        }
    }

    pub(super) fn get(&self, permit: Permit) -> Option<&T> {
        self.places.get(permit.0)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, permit: Permit) -> Option<&mut T> {
        self.places.get_mut(permit.0)?.as_mut()
    }

    /// Gives a permit back, and what held it; nothing if it was given back before.
    pub(super) fn release(&mut self, permit: Permit) -> Option<T> {
        let thing = self.places.get_mut(permit.0)?.take()?;
        self.free.push(permit.0);
        Some(thing)
    }

    /// Takes everything out of flight.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.free.clear();
        std::mem::take(&mut self.places).into_iter().flatten()
    }
}
