//! Archives do not pass the cipher: values would be carried as a project has encrypted them, and nobody else could read them.

use super::view::View;
use crate::{
    Error, ReadTx, Result, WriteTx,
    archive::{self, Each, Entry, Selection},
};

impl<T: ReadTx + ?Sized> archive::Read for View<'_, T> {
    fn export(&self, _selection: &Selection, _each: &mut Each<'_>) -> Result<()> {
        Err(refusal())
    }
}

impl<T: WriteTx + ?Sized> archive::Write for View<'_, T> {
    fn import(&self, _entry: &Entry, _replace: bool) -> Result<bool> {
        Err(refusal())
    }
}

fn refusal() -> Error {
    Error::Invalid("what a project's handlers encrypt can be neither exported nor imported".into())
}
