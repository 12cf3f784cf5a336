//! Every bound of the test array in one place: sizes, counts and times.
//!
//! The sizes are those of test volumes (sparse files on a developer's disk); the times are long enough for a
//! machine whose two cores also run two Kubernetes clusters, and short enough that a stuck driver is seen as
//! such by the kubelet's own two-minute limit.

use std::time::Duration;

/// Smallest volume, in bytes: below this ext4 has no room for its journal.
pub const MIN_VOLUME_BYTES: u64 = 16 << 20;

/// Largest volume, in bytes. The images are sparse: this bounds mistakes, not disk usage.
pub const MAX_VOLUME_BYTES: u64 = 64 << 30;

/// Size of a volume whose request names none, in bytes.
pub const DEFAULT_VOLUME_BYTES: u64 = 1 << 30;

/// Volume sizes are rounded up to this many bytes, ext4's block size.
pub const BLOCK_BYTES: u64 = 4096;

/// A file system this much smaller than its volume is full-grown: ext4 leaves out a last group that is too small.
pub const GROWTH_SLACK_BYTES: u64 = 4 << 20;

/// Volumes one node may hold attached at a time.
pub const MAX_VOLUMES_PER_NODE: usize = 64;

/// Longest name that CreateVolume accepts, in bytes (CSI: at least 128).
pub const MAX_NAME_BYTES: usize = 128;

/// Longest wait for the array's lock. Its holders do no slow work inside.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause between two attempts at the array's lock.
pub const LOCK_RETRY: Duration = Duration::from_millis(2);

/// A stage that was begun and not confirmed for this long was begun by a process that is gone: longer than its two
/// commands may take.
pub const STAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest wait, after the unmount, for the kernel to let go of the image.
pub const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two looks at the kernel's loop devices.
pub const RELEASE_POLL: Duration = Duration::from_millis(10);

/// Longest run of one external command (mkfs.ext4, e2fsck, resize2fs, mount).
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// Attempts at a mount whose loop device was taken by another node in between.
pub const MOUNT_ATTEMPTS: u32 = 5;

/// Pause between two attempts at a mount.
pub const MOUNT_RETRY: Duration = Duration::from_millis(50);

/// Mounts stacked on one path that an unmount takes away before it gives up.
pub const STACKED_MOUNTS: u32 = 16;

/// Pause between two looks of a log reader that waits for entries.
pub const LOG_POLL: Duration = Duration::from_millis(20);

/// Longest line of the array's log, in bytes; a longer one is damage.
pub const MAX_LOG_LINE_BYTES: usize = 64 << 10;

/// Longest text in one field of an entry, in bytes; more is cut off.
pub const MAX_LOG_TEXT_BYTES: usize = 4 << 10;
