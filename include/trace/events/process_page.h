/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM process_page

#if !defined(_TRACE_PROCESS_PAGE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PROCESS_PAGE_H

#include <linux/mm.h>
#include <linux/tracepoint.h>

/**
 * process_page_mixed - a process page is not whole, in an mm that is not demoted
 *
 * @vmf:	the fault that finds it so, or leaves it so
 * @after:	whether it is the latter
 * @ret:	what the fault returns, if so
 * @odd:	the first kernel page that does not go with those before it
 * @last:	the entry before that
 * @pte:	its entry
 */
TRACE_EVENT(process_page_mixed,

	TP_PROTO(const struct vm_fault *vmf, bool after, vm_fault_t ret,
		 unsigned int odd, pte_t last, pte_t pte),

	TP_ARGS(vmf, after, ret, odd, last, pte),

	TP_STRUCT__entry(
		__field(unsigned long,	addr)
		__field(unsigned int,	flags)
		__field(unsigned int,	ret)
		__field(bool,		after)
		__field(unsigned int,	odd)
		__field(u64,		last)
		__field(u64,		pte)
	),

	TP_fast_assign(
		__entry->addr	= vmf->real_address;
		__entry->flags	= vmf->flags;
		__entry->ret	= (__force unsigned int)ret;
		__entry->after	= after;
		__entry->odd	= odd;
		__entry->last	= pte_val(last);
		__entry->pte	= pte_val(pte);
	),

	TP_printk("%s fault at %#lx, flags %s, ret %#x: kernel page %u is %#llx, behind %#llx",
		  __entry->after ? "after" : "before", __entry->addr,
		  __print_flags(__entry->flags, "|", FAULT_FLAG_TRACE),
		  __entry->ret, __entry->odd, __entry->pte, __entry->last)
);

#endif /* _TRACE_PROCESS_PAGE_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
