//! Rights are needed to open devices, and for nothing else.
//!
//! What reads packets from strangers should not be root: once the devices are open the process becomes the user who
//! called sudo, or nobody, gives up its capabilities, and can gain none again.

use std::ffi::CString;

/// Becomes `user`; without one the user who called sudo, else `nobody`. Does nothing when the process has no privileges.
///
/// # Errors
///
/// When the user does not exist, or the kernel refuses: in one line.
#[allow(unsafe_code, reason = "setresuid(2) and its kin have no safe binding in the crates that are used")]
pub fn drop(user: Option<&str>) -> Result<(), String> {
    // SAFETY: no pointer is passed.
    let root = unsafe { libc::geteuid() } == 0;
    if root {
        let (uid, gid) = target(user)?;
        // SAFETY: an empty list of groups may be a null pointer; the other calls take numbers. The order matters: groups
        // can only be changed while still root. glibc changes all threads.
        let failed = unsafe {
            libc::setgroups(0, std::ptr::null()) != 0
                || libc::setresgid(gid, gid, gid) != 0
                || libc::setresuid(uid, uid, uid) != 0
        };
        if failed {
            return Err(format!("cannot become user {uid}: {}", std::io::Error::last_os_error()));
        }
    } else if let Some(user) = user {
        return Err(format!("-Z {user} needs root"));
    }
    for set in [caps::CapSet::Effective, caps::CapSet::Permitted, caps::CapSet::Inheritable] {
        let _ = caps::clear(None, set); // there may be none
    }
    // SAFETY: the arguments are numbers.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    Ok(())
}

/// User and group to become.
fn target(user: Option<&str>) -> Result<(libc::uid_t, libc::gid_t), String> {
    if let Some(user) = user {
        return ids_of(user).ok_or_else(|| format!("-Z {user}: there is no such user"));
    }
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    match (number("SUDO_UID"), number("SUDO_GID")) {
        (Some(uid), Some(gid)) if uid != 0 => Ok((uid, gid)),
        _ => Ok(ids_of("nobody").unwrap_or((65_534, 65_534))),
    }
}

#[allow(unsafe_code, reason = "getpwnam(3) has no safe binding in the crates that are used")]
fn ids_of(user: &str) -> Option<(libc::uid_t, libc::gid_t)> {
    let name = CString::new(user).ok()?;
    // SAFETY: the name ends with NUL; the result is read at once, before anything else can call getpwnam.
    unsafe {
        let entry = libc::getpwnam(name.as_ptr());
        entry.as_ref().map(|entry| (entry.pw_uid, entry.pw_gid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_looked_up() {
        assert_eq!(ids_of("root"), Some((0, 0)));
        assert_eq!(ids_of("nobody at all"), None);
        assert!(target(Some("nobody at all")).is_err_and(|error| error.contains("no such user")));
    }
}
