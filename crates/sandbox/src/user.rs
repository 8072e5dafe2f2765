//! Whom a server runs as that refuses to run as root.

use crate::Error;
use nix::unistd::{Uid, User};
use std::io;

/// `None`: as we are. `Some`: we are root and drop to this user.
pub(crate) fn unprivileged() -> Result<Option<User>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        let found =
            User::from_name(name).map_err(|errno| Error::io("read the user database")(io::Error::from(errno)))?;
        if let Some(user) = found.filter(|user| !user.uid.is_root()) {
            return Ok(Some(user));
        }
    }
    Err(Error::NoUnprivilegedUser)
}
