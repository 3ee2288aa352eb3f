// SPDX-License-Identifier: GPL-2.0
/*
 * Native page tables: which table the hardware walks.
 */
#include <linux/mmu_context.h>
#include <linux/percpu.h>
#include <linux/process_page.h>
#include <linux/sched.h>
#include <linux/smp.h>

#include <asm/sysreg.h>
#include <asm/tlbflush.h>

#include "native.h"
#include "native_walk.h"

/* For CPUs that are suspected to keep something of the other granule. */
static DEFINE_STATIC_KEY_FALSE(native_flush_key);

/* The native table of the mm that a CPU may have a table of in TTBR0_EL1. */
static DEFINE_PER_CPU(struct native_pgt *, native_loaded);

/*
 * The ASID that nobody has: with it, there is nothing of the lower addresses in
 * a TLB or a walk cache, as long as the reserved table is in force.
 */
static __always_inline void native_set_reserved_asid(void)
{
	write_sysreg(read_sysreg(ttbr1_el1) & ~TTBRx_EL1_ASID_MASK, ttbr1_el1);
}

/**
 * __native_set_tg0 - set the granule of the lower addresses
 * @tg0: as in TCR_EL1
 *
 * Until the next table is in force, the ASID is the reserved one: that of the
 * table before goes with the granule before.
 *
 * Context: On the way to another table: the reserved one is in TTBR0_EL1, but
 * perhaps not yet in force. Until it is, nothing may access memory on CPUs with
 * CAVIUM_TX2_ERRATUM_219, as tracing would.
 */
void notrace __native_set_tg0(unsigned long tg0)
{
	const unsigned long tcr = read_sysreg(tcr_el1);

	if ((tcr & TCR_EL1_TG0_MASK) == tg0)
		return;
	/* First the reserved table and ASID, then the granule, then the next. */
	isb();
	native_set_reserved_asid();
	isb();
	write_sysreg((tcr & ~TCR_EL1_TG0_MASK) | tg0, tcr_el1);
	isb();
	if (static_branch_unlikely(&native_flush_key))
		local_flush_tlb_all();
}

static int __init native_flush_setup(char *arg)
{
	static_branch_enable(&native_flush_key);
	return 0;
}
early_param("native_pgtable.flush", native_flush_setup);

/**
 * native_unload - note that no mm with a native table is installed
 *
 * Context: Preemption is off; another table is in force.
 */
void native_unload(void)
{
	this_cpu_write(native_loaded, NULL);
}

/*
 * Have the hardware walk nothing for the lower addresses. What a TLB has of the
 * mm that the CPU comes from must not serve the next; nor may the CPU have the
 * ASID of that, for the granule need not be that of what is cached with it.
 */
static void native_switch_reserved(void)
{
	cpu_set_reserved_ttbr0();
	native_set_reserved_asid();
	isb();
	post_ttbr_update_workaround();
}

/**
 * native_switch_mm - install the table of an mm that has a native one
 * @mm: the mm
 *
 * Context: As switch_mm(). The ASID of @mm is valid.
 */
void native_switch_mm(struct mm_struct *mm)
{
	struct native_pgt *np = mm_native(mm);
	unsigned long flags, hw;

	/* exec has interrupts on, and native_unpark() may come in one. */
	local_irq_save(flags);
	if (this_cpu_read(native_loaded) != np) {
		/* Who changes the tables of another mm need not stop us then. */
		cpu_set_reserved_ttbr0();
		this_cpu_write(native_loaded, np);
	}
	/* Pairs with native_demote(): it sees this CPU, or we see its hw. */
	smp_mb();
	hw = READ_ONCE(mm->context.hw);
	if (hw == NATIVE_HW_LINUX)
		cpu_switch_table(virt_to_phys(mm->pgd), TCR_TG0_KERNEL, mm);
	else if (hw == NATIVE_HW_PARKED)
		native_switch_reserved();
	else
		cpu_switch_table(hw, np->tg0, mm);
	local_irq_restore(flags);
}

/* Look at the register: EFI calls have a table of their own in it. */
static void native_park(void *arg)
{
	const struct native_pgt *np = arg;
	const u64 ttbr0 = read_sysreg(ttbr0_el1);

	if (native_same_table(ttbr0, np->pgd_phys) ||
	    native_same_table(ttbr0, virt_to_phys(np->mm->pgd)))
		cpu_set_reserved_ttbr0();
}

static void native_unpark(void *arg)
{
	const struct native_pgt *np = arg;

	if (current->active_mm == np->mm &&
	    native_same_table(read_sysreg(ttbr0_el1),
			      __pa_symbol(reserved_pg_dir)))
		check_and_switch_context(np->mm);
}

static bool native_is_loaded(int cpu, void *arg)
{
	return per_cpu(native_loaded, cpu) == arg;
}

/**
 * __native_wait - wait until an mm has left or entered its native table
 * @mm: the mm of the current task
 *
 * Context: May sleep.
 */
void __native_wait(struct mm_struct *mm)
{
	struct native_pgt *np = mm_native(mm);

	/* Who changes the table may have to be given our priority. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		mutex_lock(&np->transition);
		mutex_unlock(&np->transition);
	}
	wait_event(np->wait,
		   READ_ONCE(mm->context.hw) != NATIVE_HW_PARKED);
}

#define NATIVE_RETRY_MAX	(256UL * HZ)

static const char * const native_why[] = {
	[NATIVE_MIXED]		= "not one block",
	[NATIVE_NO_MEMORY]	= "no memory for a table",
	[NATIVE_FORCED]		= "asked for",
};

/*
 * For the time of a change, no table is installed where the mm runs. Whoever runs
 * in it waits, with locks held, too: they do not wait for the scheduler, if that
 * can be helped.
 */
static void native_park_mm(struct native_pgt *np)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_disable();
	WRITE_ONCE(np->mm->context.hw, NATIVE_HW_PARKED);
	/* Pairs with native_switch_mm(). */
	smp_mb();
	on_each_cpu_cond(native_is_loaded, native_park, np, true);
	flush_tlb_mm(np->mm);
}

static void native_unpark_mm(struct native_pgt *np, unsigned long hw)
{
	WRITE_ONCE(np->mm->context.hw, hw);
	/* As in native_park_mm(): whoever is not seen sees it. */
	smp_mb();
	on_each_cpu_cond(native_is_loaded, native_unpark, np, true);
	wake_up_all(&np->wait);
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_enable();
}

/**
 * native_demote - have an mm go back to its Linux table
 * @np: the native table of the mm of the current task, or what debugfs was told
 * @addr: what could not be entered
 * @why: the reason
 *
 * For the time of the change no table is installed where the mm runs, and only
 * those CPUs are interrupted: the ASID stays, for which one table and granule
 * are used until all its entries have been invalidated. Whoever accesses the
 * mm meanwhile waits in native_wait().
 *
 * Context: May sleep. The locks of page faults may be held, no spinlock.
 */
void native_demote(struct native_pgt *np, unsigned long addr,
		   enum native_result why)
{
	struct mm_struct *mm = np->mm;
	unsigned long patience;

	mutex_lock(&np->transition);
	if (np->state != NATIVE_ACTIVE) {
		mutex_unlock(&np->transition);
		return;
	}

	native_check_mm(np);
	process_page_demote(mm, addr, why == NATIVE_NO_MEMORY ?
			    PROCESS_PAGE_DEMOTED_MEMORY :
			    PROCESS_PAGE_DEMOTED_MIXED);
	/* Pairs with process_page_status(): who sees the other page sees why. */
	smp_wmb();
	native_park_mm(np);
	native_drop_tables(np, NATIVE_OFF);
	/* Longer each time, if a program does it again and again. */
	patience = np->wait_for;
	if (np->in_hope)
		patience = NATIVE_RETRY_MAX;
	np->bad_addr = addr;
	if (time_after(jiffies, np->promoted + patience))
		np->wait_for = NATIVE_RETRY_MIN;
	else
		np->wait_for = min(np->wait_for * 2, NATIVE_RETRY_MAX);
	WRITE_ONCE(np->retry, jiffies + np->wait_for);
	native_unpark_mm(np, NATIVE_HW_LINUX);
	mutex_unlock(&np->transition);

	if (mm == current->mm)
		pr_notice_ratelimited("native page table: %s[%d] leaves it at %#lx: %s\n",
				      current->comm, task_tgid_nr(current), addr,
				      native_why[why]);
	else
		pr_notice_ratelimited("native page table: %s[%d] has another process leave it: %s\n",
				      current->comm, task_tgid_nr(current),
				      native_why[why]);
}

/**
 * native_stay - take back a demotion that did not come
 * @np: the native table of the mm of the current task, which looks demoted
 *
 * The generic code noted that a process page is mixed. It is stricter than this
 * table, which has one entry for memory that is in one block by chance, too. But
 * a demotion may be under way.
 *
 * Context: Process context.
 */
void native_stay(struct native_pgt *np)
{
	/* Who changes the table notes it, or takes it back. */
	if (!mutex_trylock(&np->transition))
		return;
	if (np->state != NATIVE_ACTIVE) {
		np->noted = 0;
	} else if (!np->noted) {
		np->noted = jiffies | 1;
	} else if (time_after(jiffies, np->noted + NATIVE_RETRY_MIN)) {
		np->noted = 0;
		if (READ_ONCE(np->mm->page_demoted))
			process_page_promote(np->mm);
	}
	mutex_unlock(&np->transition);
}

/**
 * native_leave - have the mm of the current task walk its Linux table
 * @np: its native table
 * @addr: address of what the native table has not, and will not have
 *
 * For what reads by an address that only the Linux table has, with page faults
 * disabled. Until native_leave_done(), it stays so.
 *
 * Context: As native_demote().
 */
void native_leave(struct native_pgt *np, unsigned long addr)
{
	/* A promotion under the mutex after this sees it; one before is undone. */
	atomic_inc(&np->held);
	native_demote(np, addr, NATIVE_MIXED);
}

/**
 * native_leave_done - what native_leave() was called for is done
 * @np: the native table
 *
 * Context: Any.
 */
void native_leave_done(struct native_pgt *np)
{
	atomic_dec(&np->held);
}

/**
 * native_promote - have an mm use its native table again
 * @np: the native table of the mm of the current task, or what debugfs was told
 * @in_hope: what it was demoted for is there, but may be put in order
 *
 * It is empty, and filled by faults. Should there still be something that
 * cannot be entered, the mm is demoted again when that is accessed; and, in hope,
 * not promoted as soon as the last time, however long that went well.
 *
 * Context: As native_demote().
 */
void native_promote(struct native_pgt *np, bool in_hope)
{
	struct native_tables *tables = native_tables_alloc();

	if (!tables)
		return;
	/* Whoever changes it now, the next fault will do. */
	if (!mutex_trylock(&np->transition))
		goto free;
	if (np->state != NATIVE_OFF || atomic_read(&np->held))
		goto unlock;

	native_park_mm(np);
	spin_lock(&np->lock);
	np->tables = tables;
	WRITE_ONCE(np->state, NATIVE_ACTIVE);
	spin_unlock(&np->lock);
	np->promoted = jiffies;
	np->in_hope = in_hope;
	np->noted = 0;
	native_unpark_mm(np, np->pgd_phys);
	/* The reason after the other page, the other way round. */
	process_page_promote(np->mm);
	mutex_unlock(&np->transition);
	return;

unlock:
	mutex_unlock(&np->transition);
free:
	kfree(tables);
}
