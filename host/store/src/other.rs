//! [`OrderedMap`] behind a pointer, for maps that only tests and the lab bring: the store need not know their types.

use std::pin::Pin;

use super::error::StoreError;
use super::ordered::{Change, Commit, OrderedMap, Page, Read, View};

/// What a call to another map gives.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + 'a>>;

/// [`OrderedMap`] behind a pointer, method by method. Every map has it.
pub trait OtherMap {
    fn view(&self) -> Boxed<'_, Box<dyn OtherView>>;
    fn commit<'a>(&'a self, alternatives: &'a [Change]) -> Boxed<'a, Commit>;
    fn confirm_absent<'a>(&'a self, key: &'a str) -> Boxed<'a, bool>;
    fn ping<'a>(&'a self, key: &'a str) -> Boxed<'a, ()>;
    fn rehearse<'a>(&'a self, keys: &'a [String]) -> Boxed<'a, ()>;
}

/// [`View`] behind a pointer. Every view has it.
pub trait OtherView {
    fn read<'a>(&'a mut self, reads: &'a [Read]) -> Boxed<'a, Vec<Page>>;
}

impl<M: OrderedMap<View: 'static>> OtherMap for M {
    fn view(&self) -> Boxed<'_, Box<dyn OtherView>> {
        Box::pin(async {
            let view: Box<dyn OtherView> = Box::new(OrderedMap::view(self).await?);
            Ok(view)
        })
    }

    fn commit<'a>(&'a self, alternatives: &'a [Change]) -> Boxed<'a, Commit> {
        Box::pin(OrderedMap::commit(self, alternatives))
    }

    fn confirm_absent<'a>(&'a self, key: &'a str) -> Boxed<'a, bool> {
        Box::pin(OrderedMap::confirm_absent(self, key))
    }

    fn ping<'a>(&'a self, key: &'a str) -> Boxed<'a, ()> {
        Box::pin(OrderedMap::ping(self, key))
    }

    fn rehearse<'a>(&'a self, keys: &'a [String]) -> Boxed<'a, ()> {
        Box::pin(OrderedMap::rehearse(self, keys))
    }
}

impl<V: View> OtherView for V {
    fn read<'a>(&'a mut self, reads: &'a [Read]) -> Boxed<'a, Vec<Page>> {
        Box::pin(View::read(self, reads))
    }
}
