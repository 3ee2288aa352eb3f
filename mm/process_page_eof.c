// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a file in a process page.
 *
 * A process may store behind the end of a file, up to the end of the process
 * page that it is in, when it maps the file shared. That must never become part
 * of the file. And the file system, which was asked for blocks up to the end
 * only, must be asked again before stores can reach what the file grows by.
 *
 * So whoever makes a file longer takes the process page away that the end is
 * in, and clears what is behind the end. Until the inode is no longer locked,
 * nobody may store to that process page: write faults wait
 * (AS_PROCESS_PAGE_GROWS). Otherwise a store in between were in a page that the
 * file system has no blocks for, or would write that page over what direct I/O
 * appends. Files that nobody has mapped in that way have no AS_PROCESS_PAGE_TAIL
 * in their mapping, and cost a test of a bit.
 *
 * Who makes a file longer need not say when that is done, for there are many
 * ways to fail: a write fault that finds the inode unlocked, and no direct I/O
 * under way, takes the mark away.
 * The wait is bounded, as what the writer waits for, the source of his data for
 * instance, may depend on the process with the fault. For that case, the process
 * page is taken away once more when the file has grown.
 *
 * It works for file systems on which a file grows only by the calls that are
 * hooked here: those of a disk, and shmem.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/process_page.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/wait_bit.h>

#include "internal.h"
#include "process_page.h"

/**
 * process_page_allow_tail - whether a file may be stored to behind its end
 * @mapping: the file
 *
 * From then on its growth takes notice; what is under way has not, so that the
 * first store waits for that. Without it, such stores are SIGBUS, and what is in
 * front of the end is mapped in kernel pages.
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
	if (!test_bit(AS_PROCESS_PAGE_TAIL, &mapping->flags)) {
		set_bit(AS_PROCESS_PAGE_GROWS, &mapping->flags);
		/* Who grows and does not see the second must be waited for. */
		smp_mb__after_atomic();
		set_bit(AS_PROCESS_PAGE_TAIL, &mapping->flags);
	}
	return true;
}

/**
 * __process_page_grow_begin - clear what is behind the end before a file grows
 * @inode: the file
 * @to: what its size will be, in bytes
 * @nowait: whether it is forbidden to wait
 *
 * Context: May sleep unless @nowait. Under the inode lock, exclusively; no folio
 * of the file is locked.
 * Return: 0, or -EAGAIN if it would have to wait.
 */
int __process_page_grow_begin(const struct inode *inode, loff_t to, bool nowait)
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

	set_bit(AS_PROCESS_PAGE_GROWS, &mapping->flags);
	/* Against process_page_grows(): it sees the mark, or we its folio. */
	smp_mb__after_atomic();
	if (nowait)
		return filemap_range_has_page(mapping, from, to - 1) ?
			-EAGAIN : 0;
	unmap_mapping_pages(mapping, from >> PAGE_SHIFT, 1, false);
	index = from >> PAGE_SHIFT;
	end = to >> PAGE_SHIFT;
	while (index < end) {
		struct folio *folio = filemap_lock_folio(mapping, index);

		if (IS_ERR(folio)) {
			index++;
			continue;
		}
		/* A fault that did not see the mark is over now. */
		if (folio->mapping == mapping && folio_mapped(folio))
			unmap_mapping_folio(folio);
		/* It may be summed up to the end of a block. */
		folio_wait_writeback(folio);
		if (folio_test_uptodate(folio)) {
			const loff_t pos = folio_pos(folio);
			const loff_t next = min(to, folio_next_pos(folio));
			/* Other direct I/O may have made it longer meanwhile. */
			const loff_t size = max(from, i_size_read(inode));

			if (size < next)
				folio_zero_segment(folio, max(size, pos) - pos,
						   next - pos);
		}
		index = folio_next_index(folio);
		folio_unlock(folio);
		folio_put(folio);
	}
	return 0;
}

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

/**
 * process_page_grows - whether a process page must not be made writable now
 * @vmf: the fault under way
 *
 * Context: Any. Decisive while the folio is locked.
 * Return: true if the end of the file is in it, and about to move; or may have
 * been, for direct I/O sets the new size before it is done with the page cache.
 */
bool process_page_grows(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;
	const struct address_space *mapping;
	loff_t end;

	if (!vmf_page_order(vmf) || !(vmf->flags & FAULT_FLAG_WRITE) ||
	    !(vma->vm_flags & VM_SHARED) || !vma->vm_file)
		return false;
	mapping = vma->vm_file->f_mapping;
	/* Not before the folio is in the page cache. */
	smp_mb();
	if (!test_bit(AS_PROCESS_PAGE_GROWS, &mapping->flags))
		return false;
	end = ((loff_t)vmf->pgoff + vmf_nr_pages(vmf)) << PAGE_SHIFT;
	if (end > i_size_read(mapping->host))
		return true;
	/* Direct I/O that made it longer is counted since before it did. */
	smp_rmb();
	return atomic_read(&mapping->host->i_dio_count);
}

/*
 * Whether nobody makes the file longer: direct I/O may do it with a shared lock,
 * or when it is complete, with none. Tells by @shared if it could only be that,
 * and has not begun.
 */
static bool process_page_no_growth(struct inode *inode, bool *shared)
{
	bool none;

	*shared = inode_trylock_shared(inode);
	if (!*shared)
		return false;
	inode_unlock_shared(inode);
	*shared = inode_dio_finished(inode);
	if (!inode_trylock(inode))
		return false;
	/*
	 * No direct I/O begins while the inode is locked. What is under way has
	 * its memory pinned and does not depend on us.
	 */
	if (!inode_dio_finished(inode))
		___wait_var_event(&inode->i_dio_count,
				  ___wait_cond_timeout(inode_dio_finished(inode)),
				  TASK_KILLABLE, 0, PROCESS_PAGE_DISK_WAIT,
				  __ret = schedule_timeout(__ret));
	none = inode_dio_finished(inode);
	if (none)
		clear_bit(AS_PROCESS_PAGE_GROWS, &inode->i_mapping->flags);
	inode_unlock(inode);
	return none;
}

/**
 * process_page_wait_grown - wait until a file has grown
 * @vmf: the fault under way
 *
 * With the lock on the mm dropped, if that may be.
 *
 * Context: May sleep.
 * Return: 0 if there was nothing to wait for; else VM_FAULT_RETRY, or
 * VM_FAULT_NOPAGE with the lock kept.
 */
vm_fault_t process_page_wait_grown(struct vm_fault *vmf)
{
	struct file *file = vmf->vma->vm_file, *fpin;
	struct address_space *mapping;
	unsigned long start, limit;
	struct inode *inode;
	bool shared;

	if (!process_page_grows(vmf))
		return 0;
	if ((vmf->flags & FAULT_FLAG_ALLOW_RETRY) &&
	    (vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return VM_FAULT_RETRY;

	mapping = file->f_mapping;
	inode = mapping->host;
	fpin = maybe_unlock_mmap_for_io(vmf, NULL);
	start = jiffies;
	while (test_bit(AS_PROCESS_PAGE_GROWS, &mapping->flags)) {
		if (process_page_no_growth(inode, &shared) ||
		    fatal_signal_pending(current))
			break;
		/* Readers have a shared lock, too. */
		limit = !fpin ? HZ / 10 : shared ? HZ : 10 * HZ;
		if (time_after(jiffies, start + limit)) {
			pr_notice_ratelimited("process page size: %s[%d] stores to a file that has been growing for %u ms\n",
					      current->comm,
					      task_tgid_nr(current),
					      jiffies_to_msecs(jiffies - start));
			clear_bit(AS_PROCESS_PAGE_GROWS, &mapping->flags);
			break;
		}
		fsleep(100);
	}
	if (!fpin)
		return VM_FAULT_NOPAGE;
	fput(fpin);
	return VM_FAULT_RETRY;
}
