// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a file in a process page.
 *
 * A process may store behind the end of a file, up to the end of the process
 * page that it is in, when it maps the file shared. That must never become part
 * of the file. And the file system, which was asked for blocks up to the end
 * only, must be asked again before stores can reach what the file grows by.
 *
 * So whoever makes a file longer takes the process page away that the end was
 * in, clears what is behind the end before the file grows, and takes it away
 * once more after that. A store in between is concurrent with the growth, and
 * may be seen before or after it. Files that nobody has mapped in that way have
 * no AS_PROCESS_PAGE_TAIL in their mapping, and cost a test of a bit.
 *
 * It works for file systems on which a file grows only by the calls that are
 * hooked here: those of a disk, and shmem.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/process_page.h>
#include <linux/shmem_fs.h>

#include "process_page.h"

/**
 * process_page_allow_tail - whether a file may be stored to behind its end
 * @mapping: the file
 *
 * From then on its growth takes notice. Without it, such stores are SIGBUS, and
 * what is in front of the end is mapped in kernel pages.
 *
 * Context: Any.
 * Return: true if it may.
 */
bool process_page_allow_tail(struct address_space *mapping)
{
	const struct inode *inode = mapping->host;

	if (!shmem_mapping(mapping) &&
	    !(inode->i_sb->s_type->fs_flags & FS_REQUIRES_DEV))
		return false;
	if (!test_bit(AS_PROCESS_PAGE_TAIL, &mapping->flags))
		set_bit(AS_PROCESS_PAGE_TAIL, &mapping->flags);
	return true;
}

/**
 * __process_page_grow_begin - clear what is behind the end before a file grows
 * @inode: the file
 * @to: what its size will be, in bytes
 * @nowait: whether it is forbidden to wait
 *
 * Context: May sleep unless @nowait. No folio of the file is locked.
 * Return: 0, or -EAGAIN if it would have to wait.
 */
int __process_page_grow_begin(struct inode *inode, loff_t to, bool nowait)
{
	struct address_space *mapping = inode->i_mapping;
	const unsigned int order = mapping_page_order(mapping);
	const loff_t from = i_size_read(inode);
	pgoff_t index, end;

	if (from >= to)
		return 0;
	to = round_up(from, (loff_t)PAGE_SIZE << order);
	if (from == to)
		return 0;
	if (nowait)
		return -EAGAIN;

	unmap_mapping_pages(mapping, from >> PAGE_SHIFT, 1, false);
	index = from >> PAGE_SHIFT;
	end = to >> PAGE_SHIFT;
	while (index < end) {
		struct folio *folio = filemap_lock_folio(mapping, index);

		if (IS_ERR(folio)) {
			index++;
			continue;
		}
		/* It may be summed up to the end of a block. */
		folio_wait_writeback(folio);
		if (folio_test_uptodate(folio)) {
			const loff_t pos = folio_pos(folio);

			folio_zero_segment(folio, max(from, pos) - pos,
					   min(to, folio_next_pos(folio)) - pos);
		}
		index = folio_next_index(folio);
		folio_unlock(folio);
		folio_put(folio);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(__process_page_grow_begin);

/**
 * __process_page_grow_end - have a file system asked again after a file grew
 * @inode: the file
 * @from: its size before
 *
 * Context: May sleep.
 */
void __process_page_grow_end(struct inode *inode, loff_t from)
{
	if (from < i_size_read(inode))
		unmap_mapping_pages(inode->i_mapping, from >> PAGE_SHIFT, 1,
				    false);
}
EXPORT_SYMBOL_GPL(__process_page_grow_end);
