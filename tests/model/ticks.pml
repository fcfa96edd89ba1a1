/*
 * Ticks (DESIGN 6): leaders that believe to lead, that freeze between reading a schedule and writing its tick, and die at any point.
 *
 * An atomic block is one statement that has committed. A leader reads which tick is due, and writes it at any later time.
 *
 * Mutants, by -D: NO_COMPARE (the write does not look whether the schedule has moved on), NO_UNIQUE (a tick may be noted twice), JOB_APART (the job
 * is made by a transaction of its own, after the tick's). Each of the first two alone is still safe: the other holds.
 */
#ifndef LEADERS
#define LEADERS 2
#endif
#define TICKS 4

byte next_run = 0;
byte rows[TICKS], jobs[TICKS];

proctype leader() {
    byte due;
    do
    :: atomic { next_run < TICKS -> due = next_run } /* it reads, and may freeze here */
        if
        :: atomic {
            if
#ifdef NO_COMPARE
            :: true ->
#else
            :: next_run == due ->
#endif
                if
#ifdef NO_UNIQUE
                :: true ->
#else
                :: rows[due] == 0 ->
#endif
                    rows[due]++;
#ifndef JOB_APART
                    jobs[due]++;
#endif
                    assert(rows[due] == 1)
                :: else
                fi;
                next_run = due + 1
            :: else
            fi
          }
#ifdef JOB_APART
          if
          :: atomic { rows[due] == 1 && jobs[due] == 0 -> jobs[due]++ }
          :: skip /* it dies between the two */
          fi
#endif
        :: skip /* it dies, and another takes its place */
        fi
    :: next_run == TICKS -> break
    od
}

init {
    byte n = 0;
    atomic {
        do
        :: n < LEADERS -> run leader(); n++
        :: else -> break
        od
    }
    (_nr_pr == 1);
    byte tick = 0;
    do
    :: tick < TICKS -> assert(rows[tick] == 1 && jobs[tick] == 1); tick++
    :: else -> break
    od
}
