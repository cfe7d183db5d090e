/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings FERRY-3xxx: storage; see catalog.h. */
#include "base/catalog-parts.h"

const catalog_entry catalog_storage[] = {
    {3001, FINDING_BLOCKS, "File exists",
     "The file a disk would become exists. Ferry never writes over a file.",
     "Remove or rename it, or `--storage vda=/DIRECTORY`."},
    {3002, FINDING_BLOCKS, "Not enough space",
     "Not enough space on a file system of the target, for all disks that go there together: what "
     "they take now, a twentieth more, and tables.",
     "Free some, or send a disk elsewhere."},
    {3003, FINDING_NOTE, "No space to grow",
     "The disks fit as they are, but not if guests filled them.", NULL},
    {3004, FINDING_BLOCKS, "No such directory", "The directory does not exist on the target.",
     "`mkdir -p` there, or another directory."},
    {3005, FINDING_BLOCKS, "Directory not writable",
     "The target cannot make files in the directory (it was tried): read-only, no permission, …",
     "Make it writable, or another directory."},
    {3006, FINDING_BLOCKS, "No place for disks",
     "The directory is no place for disks: a system directory, or not among those the target's "
     "configuration allows.",
     "Another directory; allow it in the target's `ferryd.conf`, or make it a storage pool."},
    {3007, FINDING_BLOCKS, "No such storage pool", "The target has no storage pool of that name.",
     "Name one it has, or a directory."},
    {3008, FINDING_BLOCKS, "Storage pool not active", "The storage pool is not active.",
     "`virsh pool-start` there."},
    {3009, FINDING_BLOCKS, "Storage pool without files",
     "The storage pool is of a type that does not hold files in a directory (LVM, RBD, iSCSI, …).",
     "A pool of type dir, fs or netfs, or a directory."},
    {3010, FINDING_BLOCKS, "Disk that is not an image file",
     "The disk, or what is in a drive, is not an image file: a block device, a network disk, a "
     "directory, a LUN.",
     "`virsh blockcopy` it into an image file, or detach it."},
    {3011, FINDING_BLOCKS, "Shareable disk",
     "The disk is shareable: other VMs may be writing to it.",
     "Detach it, or keep it on storage both hosts reach."},
    {3012, FINDING_CHANGED, "Chain of images",
     "The disk is the top of a chain of images; it becomes one image with all of their content.",
     NULL},
    {3013, FINDING_BLOCKS, "Medium not to be had",
     "The target cannot give the VM the medium in a drive, and says why: there is no such file, "
     "at the mapped path or the same; it is in no place for disks of VMs (see FERRY-3006); "
     "another VM there uses it or it is kept for one (`.ferry-landed`, a way back); it is neither "
     "raw nor a qcow2 image without others below it; the definition names other images with it.",
     "`virsh change-media VM sda --eject`, or copy it to a directory for disks there: `--storage "
     "sda=/DIRECTORY`."},
    {3014, FINDING_BLOCKS, "Image format", "The disk is in a format that Ferry does not make.",
     "`--format vda=qcow2`."},
    {3015, FINDING_BLOCKS, "Two disks, one file", "Two disks would become the same file.",
     "A directory of its own for one: `--storage vdb=/DIRECTORY`."},
    {3016, FINDING_BLOCKS, "Size not known", "The size of a disk is not known.", NULL},
    {3017, FINDING_BLOCKS, "O_DIRECT refused",
     "The disk is used with O_DIRECT (`cache='none'` or `'directsync'`), and the file system on "
     "the target refuses that.",
     "Another file system, or `cache='writeback'`."},
    {3018, FINDING_BLOCKS, "Disk in the stored definition only",
     "A disk is in the stored definition only; the running VM does not have it, so it would not "
     "come along.",
     "Restart the VM, or `virsh detach-disk --config`."},
    {3019, FINDING_BLOCKS, "Encrypted disk",
     "QEMU encrypts the disk, and its secret stays at the source.",
     "`virsh blockcopy` it into a plain image."},
    {3020, FINDING_CHANGED, "Medium of the stored definition",
     "The stored definition has a medium the target cannot give to the VM (as FERRY-3013); the "
     "drive will be empty at the next start.",
     NULL},
    {3021, FINDING_BLOCKS, "Read-only disk not to be had",
     "A read-only disk is not copied, and the target cannot give its image to the VM, for one of "
     "the reasons of FERRY-3013.",
     "Copy it, as one image, to a directory for disks there: `--storage vdb=/DIRECTORY`; or "
     "detach it."},
    {3022, FINDING_BLOCKS, "Directory closed to QEMU",
     "The user QEMU runs as on the target may not enter the directory.",
     "`chmod o+x` along the path, or another directory."},
    {0}};
