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
 * page is taken away once more when the file has grown; or the store is done in
 * kernel pages, as always while there is direct I/O. These may be in a folio
 * that the end is in, like those of processes that have no others: it is split
 * before a store makes it dirty (process_page_split_tail()).
 *
 * It works for file systems on which a file grows only by the calls that are
 * hooked here: those of a disk, and shmem. On others, no folio that is made for
 * process pages has the end of the file in it (process_page_may_cache()).
 */
#include <linux/backing-dev.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/process_page.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/wait_bit.h>

#include "internal.h"
#include "process_page.h"

/* Where the process page that a fault is for ends in the file, in bytes. */
static loff_t vmf_page_end(const struct vm_fault *vmf)
{
	return ((loff_t)vmf->pgoff + vmf_nr_pages(vmf)) << PAGE_SHIFT;
}

/* Whether the kernel page that a fault is for is behind the end of the file. */
static bool vmf_behind(const struct vm_fault *vmf, const struct inode *inode)
{
	return vmf->pgoff +
	       ((vmf->real_address - vmf->address) >> PAGE_SHIFT) >=
	       DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
}

/*
 * Since when files grow: what ends in front of that is not concerned. Another
 * file may take the place of one, which then need not be in front of anything.
 */
#define PROCESS_PAGE_GREW_BITS	6

static struct process_page_grew {
	const struct address_space *mapping;
	loff_t from;
	unsigned int count;	/* how often it was noted */
	unsigned long direct;	/* when it may have been direct I/O, in jiffies; or 0 */
	unsigned long in_vain;	/* when somebody gave up, in jiffies; or 0 */
	const struct address_space *vain;	/* for which file */
} process_page_grew_table[1 << PROCESS_PAGE_GREW_BITS];

/* For the table, and for what is to be seen at once with the mark. */
static DEFINE_SEQLOCK(process_page_grew_lock);

static struct process_page_grew *
process_page_grew_of(const struct address_space *mapping)
{
	return process_page_grew_table +
	       hash_ptr(mapping, PROCESS_PAGE_GREW_BITS);
}

/* Whether whatever makes a file longer is hooked here. */
static bool process_page_growth_seen(const struct address_space *mapping)
{
	return shmem_mapping(mapping) ||
	       (mapping->host->i_sb->s_type->fs_flags & FS_REQUIRES_DEV);
}

/**
 * process_page_may_cache - whether a part of a file may be in one folio
 * @mapping: the file
 * @index: of the first kernel page
 * @order: of the folio
 *
 * One that the end of the file is in is written as a whole once the file has
 * grown, over what was appended around the page cache: by direct I/O, or by
 * another machine. So not where that is not seen.
 *
 * Context: Any.
 * Return: true if it may, as far as the end of the file is concerned.
 */
bool process_page_may_cache(struct address_space *mapping, pgoff_t index,
			    unsigned int order)
{
	return process_page_growth_seen(mapping) ||
	       !mapping_can_writeback(mapping) ||
	       index + (1UL << order) <=
	       DIV_ROUND_UP(i_size_read(mapping->host), PAGE_SIZE);
}

static void __process_page_note_growth(struct address_space *mapping,
				       unsigned int bit, bool direct)
{
	struct process_page_grew *grew = process_page_grew_of(mapping);
	const struct inode *inode = mapping->host;
	loff_t from = i_size_read(inode);

	write_seqlock(&process_page_grew_lock);
	/* Others may do it, too, and not be done. It may be forgotten since when. */
	if (atomic_read(&inode->i_dio_count) &&
	    test_bit(AS_PROCESS_PAGE_GROWS, &mapping->flags))
		from = grew->mapping == mapping ? min(from, grew->from) : 0;
	WRITE_ONCE(grew->count, grew->count + 1);
	if (direct)
		grew->direct = jiffies ?: 1;
	WRITE_ONCE(grew->mapping, mapping);
	WRITE_ONCE(grew->from, from);
	/* Pairs with process_page_end_grows(): what is noted goes with the mark. */
	smp_mb__before_atomic();
	set_bit(AS_PROCESS_PAGE_GROWS, &mapping->flags);
	/* Who grows and does not see the second must be waited for. */
	smp_mb__after_atomic();
	set_bit(bit, &mapping->flags);
	write_sequnlock(&process_page_grew_lock);
}

/**
 * process_page_note_growth - note that a file may be about to grow
 * @mapping: the file
 * @bit: a flag of it to be set then, for those who grow it to see; or
 * AS_PROCESS_PAGE_GROWS again
 *
 * The caller has a barrier after it.
 *
 * Context: Any but interrupts.
 */
void process_page_note_growth(struct address_space *mapping, unsigned int bit)
{
	/* Direct I/O may be under way that has not seen a new flag. */
	__process_page_note_growth(mapping, bit, bit != AS_PROCESS_PAGE_GROWS);
}

/*
 * Nobody makes the file longer: the inode is locked, and no direct I/O under
 * way. With the lock, not in between of the two flags that are set above.
 */
static void process_page_end_growth(struct address_space *mapping)
{
	read_seqlock_excl(&process_page_grew_lock);
	clear_bit(AS_PROCESS_PAGE_GROWS, &mapping->flags);
	read_sequnlock_excl(&process_page_grew_lock);
}

/* To be compared with later, by process_page_forget_growth(). */
static unsigned int process_page_growth_count(const struct address_space *mapping)
{
	return READ_ONCE(process_page_grew_of(mapping)->count);
}

/*
 * Take the mark away unless it was made once more since there were @count. Direct
 * I/O is not counted while it drops what is cached, and allocates.
 */
static bool process_page_forget_growth(struct address_space *mapping,
				       unsigned int count)
{
	unsigned long direct;
	bool forgotten;

	read_seqlock_excl(&process_page_grew_lock);
	direct = process_page_grew_of(mapping)->direct;
	forgotten = process_page_growth_count(mapping) == count &&
		    (!direct ||
		     time_after(jiffies, direct + PROCESS_PAGE_DISK_WAIT)) &&
		    !atomic_read(&mapping->host->i_dio_count);
	if (forgotten)
		clear_bit(AS_PROCESS_PAGE_GROWS, &mapping->flags);
	read_sequnlock_excl(&process_page_grew_lock);
	return forgotten;
}

/* Note that somebody has waited in vain to store behind the end. */
static void process_page_note_vain(const struct address_space *mapping)
{
	struct process_page_grew *grew = process_page_grew_of(mapping);

	WRITE_ONCE(grew->vain, mapping);
	WRITE_ONCE(grew->in_vain, jiffies ?: 1);
}

/* Whether somebody has, less than a second ago. */
static bool process_page_was_vain(const struct address_space *mapping)
{
	const struct process_page_grew *grew = process_page_grew_of(mapping);
	const unsigned long when = READ_ONCE(grew->in_vain);

	return when && READ_ONCE(grew->vain) == mapping &&
	       time_before(jiffies, when + HZ);
}

/* Whether it is known since when the file grows. */
static bool process_page_grew_known(const struct address_space *mapping)
{
	return READ_ONCE(process_page_grew_of(mapping)->mapping) == mapping;
}

/* Whether the end of a file that grows may have been in front of @end. */
static bool process_page_grew(const struct address_space *mapping, loff_t end)
{
	const struct process_page_grew *grew = process_page_grew_of(mapping);
	unsigned int seq;
	bool may;

	do {
		seq = read_seqbegin(&process_page_grew_lock);
		may = !process_page_grew_known(mapping) ||
		      end > READ_ONCE(grew->from);
	} while (read_seqretry(&process_page_grew_lock, seq));
	return may;
}

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
	if (!process_page_growth_seen(mapping))
		return false;
	if (!test_bit(AS_PROCESS_PAGE_TAIL, &mapping->flags))
		process_page_note_growth(mapping, AS_PROCESS_PAGE_TAIL);
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
	/* Nobody can map the last process page, of which the end wraps. */
	if (to <= from)
		return 0;

	process_page_note_growth(mapping, AS_PROCESS_PAGE_GROWS);
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
 * process_page_dio_begin - to be called before direct I/O drops what is cached
 * @mapping: the file
 * @to: where the write ends, in bytes
 *
 * process_page_write_begin() was called, but that may be long ago: somebody may
 * have given up waiting, and what is under way is not counted before it drops
 * what is cached.
 *
 * Context: Any but interrupts.
 */
void process_page_dio_begin(struct address_space *mapping, loff_t to)
{
	if (!process_page_tail(mapping->host) ||
	    to <= i_size_read(mapping->host))
		return;
	__process_page_note_growth(mapping, AS_PROCESS_PAGE_GROWS, true);
	/* As in __process_page_grow_begin(). */
	smp_mb__after_atomic();
}

/**
 * process_page_write_begin - to be called before a file is written to
 * @iocb: the write
 * @count: how much, in bytes
 *
 * Context: As process_page_grow_begin().
 * Return: 0, or -EAGAIN if it would have to wait.
 */
int process_page_write_begin(const struct kiocb *iocb, size_t count)
{
	const struct inode *inode = iocb->ki_filp->f_mapping->host;
	const loff_t to = iocb->ki_pos + count;

	/* Others may store to the folio that the end is in: see split_tail(). */
	if ((iocb->ki_flags & IOCB_DIRECT) && to > i_size_read(inode) &&
	    mapping_page_order(inode->i_mapping))
		process_page_allow_tail(inode->i_mapping);
	return process_page_grow_begin(inode, to,
				       iocb->ki_flags & IOCB_NOWAIT);
}

/* Somebody has waited in vain: until when others need not, in jiffies. */
static unsigned long process_page_impatient = INITIAL_JIFFIES;

/*
 * Whether what ends at @end has the end of the file in it, which is about to
 * move; or may have had, for direct I/O sets the new size before it is done with
 * the page cache.
 */
static bool process_page_end_grows(const struct address_space *mapping,
				   loff_t end)
{
	if (!test_bit(AS_PROCESS_PAGE_GROWS, &mapping->flags))
		return false;
	if (end > i_size_read(mapping->host))
		return true;
	/* Direct I/O that made it longer is counted since before it did. */
	smp_rmb();
	return atomic_read(&mapping->host->i_dio_count) &&
	       process_page_grew(mapping, end);
}

/**
 * process_page_grows - whether a process page must not be made writable now
 * @vmf: the fault under way
 *
 * Context: Any. Decisive while the folio is locked.
 * Return: true if the end of the file is in it, and about to move; or may have
 * been.
 */
bool process_page_grows(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;

	if (!vmf_page_order(vmf) || !(vmf->flags & FAULT_FLAG_WRITE) ||
	    !(vma->vm_flags & VM_SHARED) || !vma->vm_file)
		return false;
	/* Not before the folio is in the page cache. */
	smp_mb();
	return process_page_end_grows(vma->vm_file->f_mapping,
				      vmf_page_end(vmf));
}

/**
 * process_page_split_tail - have a store not reach what a file grows by
 * @vmf: the fault under way, in a kernel page or a smaller process page
 * @folio: the folio of the page cache that is stored to; it is locked
 *
 * Stores make all of a folio dirty. When the end of the file is in it, and
 * direct I/O appends to the file, that would be overwritten. Only for process
 * pages are there such folios, and they do not store while the file grows; for
 * others, the folio is split, as it never was in one piece.
 *
 * Context: May sleep. The caller has a reference.
 * Return: 0 if the store may go on; VM_FAULT_NOPAGE, with @folio unlocked and
 * the reference dropped, if the fault is to be had again.
 */
vm_fault_t process_page_split_tail(const struct vm_fault *vmf,
				   struct folio *folio)
{
	struct address_space *mapping = folio->mapping;
	const unsigned long start = jiffies;
	unsigned int order, tries;
	struct inode *inode;
	bool none;

	if (!mapping || shmem_mapping(mapping))
		return 0;
	order = max(mapping_min_folio_order(mapping), vmf_page_order(vmf));
	inode = mapping->host;
	for (tries = 0; folio->mapping == mapping; tries++) {
		const loff_t pos = folio_pos(folio);
		const loff_t next = folio_next_pos(folio);
		bool busy = folio_test_dirty(folio);

		if (folio_order(folio) <= order ||
		    !process_page_end_grows(mapping, next))
			return 0;
		/* What is not counted yet begins with writing and dropping it. */
		if (busy && !atomic_read(&inode->i_dio_count))
			return 0;
		busy |= folio_test_writeback(folio);
		if (tries >= 10) {
			/* It is clean: whoever reads it may keep it, elsewhere. */
			if (!busy && !folio_maybe_dma_pinned(folio) &&
			    folio_unmap_invalidate(mapping, folio,
						   GFP_KERNEL) == 1)
				break;
			if (fatal_signal_pending(current))
				break;
			/* Whoever has it pinned is done some day, as is the append. */
			if (!atomic_read(&inode->i_dio_count) ||
			    time_after(jiffies, start + PROCESS_PAGE_DISK_WAIT))
				return 0;
		}
		if (inode_trylock(inode)) {
			none = inode_dio_finished(inode);
			if (none)
				process_page_end_growth(mapping);
			inode_unlock(inode);
			if (none)
				return 0;
		}
		if (!busy && !split_folio_to_order(folio, order))
			break;
		folio_unlock(folio);
		/* What is to be written cannot be split, or is dirty as a whole. */
		if (busy) {
			filemap_fdatawrite_range(mapping, pos, next - 1);
			filemap_fdatawait_range_keep_errors(mapping, pos,
							    next - 1);
		} else {
			/* Whoever has a reference may be done in a moment. */
			fsleep(2000);
		}
		folio_lock(folio);
	}
	folio_unlock(folio);
	folio_put(folio);
	return VM_FAULT_NOPAGE;
}

/*
 * Whether nobody makes the file longer: direct I/O may do it with a shared lock,
 * or when it is complete, with none. Tells by @shared if it could only be that.
 * Waits for what is complete no longer than @patience, in jiffies.
 */
static bool process_page_no_growth(struct inode *inode, bool *shared,
				   unsigned long patience)
{
	bool none;

	*shared = inode_trylock_shared(inode);
	if (!*shared)
		return false;
	inode_unlock_shared(inode);
	if (!inode_trylock(inode))
		return false;
	/*
	 * No direct I/O begins while the inode is locked. What is under way has
	 * its memory pinned and does not depend on us, unless it is one that we
	 * are to poll for.
	 */
	if (!inode_dio_finished(inode))
		___wait_var_event(&inode->i_dio_count,
				  ___wait_cond_timeout(inode_dio_finished(inode)),
				  TASK_KILLABLE, 0, patience,
				  __ret = schedule_timeout(__ret));
	none = inode_dio_finished(inode);
	if (none)
		process_page_end_growth(inode->i_mapping);
	inode_unlock(inode);
	return none;
}

/*
 * The file has been growing for too long: what becomes of the store. In kernel
 * pages, it does not overwrite what is appended around the page cache. But there
 * are none behind the end; and if the inode is only read, there is no need.
 */
static vm_fault_t process_page_give_up(struct inode *inode, bool shared,
				       bool behind, unsigned long waited,
				       unsigned int count)
{
	const bool direct = atomic_read(&inode->i_dio_count);

	pr_notice_ratelimited("process page size: %s[%d] stores to a file that has been growing for %u ms\n",
			      current->comm, task_tgid_nr(current),
			      jiffies_to_msecs(waited));
	/* It may be reads and writes elsewhere, and our own. */
	if (direct)
		WRITE_ONCE(process_page_impatient, jiffies + HZ);
	if (direct || (!behind && !shared))
		return VM_FAULT_FALLBACK;
	/* In kernel pages, there is no need to wait once more. */
	return process_page_forget_growth(inode->i_mapping, count) || behind ?
	       0 : VM_FAULT_FALLBACK;
}

/**
 * process_page_wait_grown - wait until a file has grown
 * @vmf: the fault under way
 *
 * With the lock on the mm dropped, if that may be.
 *
 * Context: May sleep.
 * Return: 0 if there was nothing to wait for; else VM_FAULT_RETRY, or with the
 * lock kept VM_FAULT_NOPAGE, or VM_FAULT_FALLBACK to store in kernel pages.
 */
vm_fault_t process_page_wait_grown(struct vm_fault *vmf)
{
	const loff_t end = vmf_page_end(vmf);
	struct file *file = vmf->vma->vm_file, *fpin;
	struct address_space *mapping;
	unsigned long start, limit;
	vm_fault_t ret = 0;
	struct inode *inode;
	bool shared, behind;
	unsigned int count;

	if (!process_page_grows(vmf))
		return 0;
	if ((vmf->flags & FAULT_FLAG_ALLOW_RETRY) &&
	    (vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return VM_FAULT_RETRY;

	mapping = file->f_mapping;
	inode = mapping->host;
	if (time_before(jiffies, READ_ONCE(process_page_impatient)) &&
	    atomic_read(&inode->i_dio_count) && !vmf_behind(vmf, inode))
		return VM_FAULT_FALLBACK;
	fpin = maybe_unlock_mmap_for_io(vmf, NULL);
	start = jiffies;
	/* Whoever marks it from now on has not been waited for. */
	count = process_page_growth_count(mapping);
	while (process_page_end_grows(mapping, end)) {
		/* Longer each time: others want the lock, too. */
		if (process_page_no_growth(inode, &shared,
					   clamp(jiffies - start, HZ / 50UL,
						 fpin ? PROCESS_PAGE_DISK_WAIT :
							HZ / 10UL)) ||
		    fatal_signal_pending(current))
			break;
		behind = vmf_behind(vmf, inode);
		/* Readers have a shared lock, too. */
		limit = !fpin ? HZ / 10 : shared ? HZ : 10 * HZ;
		/* It may grow far behind: reading counts as direct I/O, too. */
		if (end <= i_size_read(inode) &&
		    !process_page_grew_known(mapping))
			limit = HZ / 50;
		/* There is nothing else for a store behind the end. */
		if (fpin && behind && atomic_read(&inode->i_dio_count))
			limit = PROCESS_PAGE_DISK_WAIT;
		if (time_after(jiffies, start + limit)) {
			if (behind && atomic_read(&inode->i_dio_count)) {
				/* The next try has the lock, and is SIGBUS. */
				if (fpin)
					process_page_note_vain(mapping);
				/* Or is in between, and can wait for longer. */
				else if ((vmf->flags & FAULT_FLAG_USER) &&
					 !process_page_was_vain(mapping))
					break;
			}
			ret = process_page_give_up(inode, shared, behind,
						   jiffies - start, count);
			break;
		}
		fsleep(100);
	}
	if (!fpin)
		return ret ? ret : VM_FAULT_NOPAGE;
	fput(fpin);
	return VM_FAULT_RETRY;
}
