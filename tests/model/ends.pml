/*
 * Every job ends (DESIGN 6): one job, workers that die, lose replies, stop beating or run code that hangs, FAULTS times in all.
 *
 * Tokens are left out, which locks.pml has: `holder` is whose claim the row bears, `runs` what the worker believes. A lock expires by itself where
 * nobody extends it, and as a fault where somebody would have. Fair is every process, so what a worker and its heartbeat thread may do are two.
 *
 * Code that hangs is of two kinds: what a deadline stops, and what hears nothing, for which its process ends in the end. (A thread that hangs while
 * others turn is left out: it keeps slot and lock, so that no retry overlaps it, and its job does not end.)
 *
 * Mutants, by -D: NO_SWEEP, SWEEP_ONCE (at the start of a process, as a recovery at launch), BEAT_BY_OWNER (extends what its worker does not know of),
 * NO_DEADLINE, NO_END_OF_THE_STUCK, WAKE_LOST (a release that wakes nobody, and no poll).
 */
#define WORKERS 2
#define FAULTS 3
#define NOBODY 0
#define DEAD 9

byte holder = NOBODY, faults = 0;
bool fresh = false, final = false, woken = true;
bool runs[3], hangs[3], deaf[3];

#define FAULT(w) faults < FAULTS -> faults++

inline give_back(w) {
    if
    :: holder == w ->
        holder = NOBODY;
#ifndef WAKE_LOST
        woken = true
#endif
    :: else
    fi
}

inline end_process(w) {
    runs[w] = false; hangs[w] = false; deaf[w] = false;
    holder = (holder == w -> DEAD : holder)
}

proctype worker(byte w) {
    do
    :: atomic {
        !final && woken && holder == NOBODY && !runs[w] ->
        holder = w; fresh = true; woken = false;
        if
        :: runs[w] = true
        :: faults < FAULTS -> faults++; runs[w] = true; hangs[w] = true
        :: faults < FAULTS -> faults++; runs[w] = true; hangs[w] = true; deaf[w] = true
        :: faults < FAULTS -> faults++ /* the reply is lost */
        fi
    }
    :: atomic {
        runs[w] && !hangs[w] ->
        runs[w] = false;
        if
        :: holder == w -> final = true; holder = NOBODY
        :: else
        fi
    }
#ifndef NO_DEADLINE
    :: atomic { runs[w] && hangs[w] && !deaf[w] -> runs[w] = false; hangs[w] = false; give_back(w) }
#endif
#ifndef NO_END_OF_THE_STUCK
    :: atomic { runs[w] && deaf[w] -> end_process(w) }
#endif
    :: final -> break
    od
}

proctype heart(byte w) {
    do
    :: atomic { runs[w] && holder == w && !fresh -> fresh = true }
    :: atomic { runs[w] && holder != w && !deaf[w] -> runs[w] = false; hangs[w] = false } /* lost: its code is cancelled */
#ifdef BEAT_BY_OWNER
    :: atomic { !runs[w] && holder == w && !fresh -> fresh = true }
#else
    :: atomic { !runs[w] && holder == w -> give_back(w) } /* a claim of which it never heard */
#endif
    :: final -> break
    od
}

proctype sweeper() {
#if defined(SWEEP_ONCE)
    if
    :: atomic { holder != NOBODY && !fresh -> holder = NOBODY; woken = true }
    :: true
    fi
#elif defined(NO_SWEEP)
    skip
#else
    do
    :: atomic { holder != NOBODY && !fresh -> holder = NOBODY; woken = true }
    :: final -> break
    od
#endif
}

proctype clock() {
    do
    :: atomic { fresh && (holder == NOBODY || holder == DEAD || !runs[holder]) -> fresh = false }
    :: final -> break
    od
}

proctype trouble(byte w) {
    do
    :: atomic { FAULT(w); end_process(w) } /* it dies, and another comes */
    :: atomic { fresh && holder == w && faults < FAULTS -> faults++; fresh = false } /* it is frozen, or cut off */
    :: faults == FAULTS || final -> break
    od
}

init {
    atomic {
        run worker(1); run worker(2);
        run heart(1); run heart(2);
        run sweeper();
        run clock();
        run trouble(1); run trouble(2)
    }
}

ltl it_ends { <> final }
