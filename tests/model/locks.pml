/*
 * The lock protocol (DESIGN 6): two jobs, workers that crash and come back, claims whose reply is lost, writes that come at any later time.
 *
 * An atomic block is one statement that has committed. A worker that is frozen or cut off is one whose turn does not come; a lock may expire at
 * any moment, which is more than time allows. What a worker believes to run stands in `mine`; `alive` is a ghost: the claim that really holds a job.
 * A worker that died comes back as another, so what bears its id belongs to nobody.
 *
 * Mutants, by -D: NO_FENCE, STATE_FENCE, OWNER_FENCE, LOOSE_RELEASE, REVIVE_GIVEN_AWAY, TOKENS_REPEAT.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#define JOBS 2
#define CLAIMS 4 /* tokens 1 to 3; 0 is none */
#define NOBODY 7
#define BIT(j) (1 << (j))

byte token_of[JOBS], locked_by[JOBS] = NOBODY, ends[JOBS], alive[JOBS];
bool cancelled[JOBS];
byte next_token = 1;
bool held[CLAIMS], expired[CLAIMS];
byte owner[CLAIMS] = NOBODY, ids[CLAIMS];
byte mine[12]; /* of worker w under token t: the jobs as bits */
byte serial, serial_of[CLAIMS], known[12]; /* ghosts: which claim it really is, by the row and by the worker */

hidden byte token, job, behind; /* of the statement that is being run: no part of the state */

#define MINE(w, token) mine[(w) * CLAIMS + (token)]
#define KNOWN(w, token) known[(w) * CLAIMS + (token)]
#define READY(job) (token_of[job] == 0 && ends[job] == 0)

#if defined(NO_FENCE)
#define FENCE(job, token, w) (ends[job] == 0)
#elif defined(STATE_FENCE)
#define FENCE(job, token, w) (token_of[job] != 0)
#elif defined(OWNER_FENCE)
#define FENCE(job, token, w) (locked_by[job] == w)
#else
#define FENCE(job, token, w) (token_of[job] == token)
#endif

#ifdef LOOSE_RELEASE
#define RELEASE_FENCE(job, token, w) (token_of[job] != 0)
#else
#define RELEASE_FENCE(job, token, w) FENCE(job, token, w)
#endif

inline let_go(job) {
    token_of[job] = 0;
    locked_by[job] = NOBODY;
    alive[job] = 0
}

inline remove(token) {
    held[token] = false; expired[token] = false; owner[token] = NOBODY; ids[token] = 0; serial_of[token] = 0
}

inline forget(job, token, w) {
    MINE(w, token) = MINE(w, token) & ~BIT(job);
    if
    :: MINE(w, token) == 0 -> KNOWN(w, token) = 0
    :: else
    fi
}

/* The row of a claim goes with its last job. */
inline close_claim(token) {
    if
    :: held[token] && (token_of[0] != token || !(ids[token] & BIT(0))) && (token_of[1] != token || !(ids[token] & BIT(1))) -> remove(token)
    :: else
    fi
}

inline end(job, token, w, claim) {
    if
    :: FENCE(job, token, w) ->
        assert(alive[job] == claim); /* only the claim that holds it */
        ends[job]++;
        assert(ends[job] == 1);
        let_go(job)
    :: else
    fi;
    forget(job, token, w);
    close_claim(token)
}

inline give_back(job, token, w, claim) {
    if
    :: RELEASE_FENCE(job, token, w) ->
        assert(alive[job] == claim);
        ends[job] = ends[job] + cancelled[job]; /* no way back passes a job that is to end */
        let_go(job)
    :: else
    fi;
    forget(job, token, w);
    close_claim(token)
}

inline claim_ready(token, w) {
    held[token] = true; expired[token] = false; owner[token] = w; ids[token] = 0;
    serial++; serial_of[token] = serial;
    job = 0;
    do
    :: job < JOBS && READY(job) ->
        token_of[job] = token; locked_by[job] = w; alive[job] = serial; ids[token] = ids[token] | BIT(job); job++
    :: job < JOBS && !READY(job) -> job++
    :: job == JOBS -> break
    od;
    if
    :: MINE(w, token) = ids[token]; KNOWN(w, token) = (ids[token] -> serial : 0)
    :: skip /* the reply is lost */
    fi
}

/* Extends exactly the rows that it names; gives back what is its own by the rows and not by its memory; forgets what is lost. */
inline beat(w) {
    token = 1;
    do
    :: token < CLAIMS && MINE(w, token) != 0 ->
        if
#ifdef REVIVE_GIVEN_AWAY
        :: held[token] ->
#else
        :: held[token] && owner[token] == w ->
#endif
            expired[token] = false;
            assert(!(MINE(w, token) & BIT(0)) || alive[0] == KNOWN(w, token)); /* it is told that it holds them */
            assert(!(MINE(w, token) & BIT(1)) || alive[1] == KNOWN(w, token))
        :: else -> MINE(w, token) = 0; KNOWN(w, token) = 0
        fi;
        token++
    :: token < CLAIMS && MINE(w, token) == 0 && held[token] && owner[token] == w ->
        if
        :: (ids[token] & BIT(0)) -> give_back(0, token, w, serial_of[token])
        :: else
        fi;
        if
        :: (ids[token] & BIT(1)) -> give_back(1, token, w, serial_of[token])
        :: else
        fi;
        token++
    :: token < CLAIMS && MINE(w, token) == 0 && !(held[token] && owner[token] == w) -> token++
    :: token == CLAIMS -> break
    od
}

inline die(w) {
    token = 1;
    do
    :: token < CLAIMS ->
        MINE(w, token) = 0;
        KNOWN(w, token) = 0;
        if
        :: owner[token] == w -> owner[token] = NOBODY
        :: else
        fi;
        token++
    :: token == CLAIMS -> break
    od;
    job = 0;
    do
    :: job < JOBS ->
        if
        :: locked_by[job] == w -> locked_by[job] = NOBODY
        :: else
        fi;
        job++
    :: job == JOBS -> break
    od
}

proctype worker(byte w) {
    do
    :: atomic {
        next_token < CLAIMS && (READY(0) || READY(1)) ->
#ifdef TOKENS_REPEAT
        /* the lowest that nothing bears any more */
        token = 1;
        do
        :: token < CLAIMS - 1 && (held[token] || token_of[0] == token || token_of[1] == token) -> token++
        :: else -> break
        od;
        next_token++;
#else
        token = next_token;
        next_token++;
#endif
        claim_ready(token, w)
    }
    :: atomic { /* an end that comes at any time after the claim */
        (MINE(w, 1) | MINE(w, 2) | MINE(w, 3)) != 0 ->
        select(token : 1 .. 3);
        select(job : 0 .. 1);
        if
        :: (MINE(w, token) & BIT(job)) -> end(job, token, w, KNOWN(w, token))
        :: (MINE(w, token) & BIT(job)) -> give_back(job, token, w, KNOWN(w, token))
        :: else
        fi
    }
    :: atomic { next_token > 1 -> beat(w) }
    :: atomic { next_token > 1 -> die(w) }
    :: ends[0] && ends[1] -> break
    od
}

proctype sweeper() {
    do
    :: atomic {
        next_token > 1 ->
        select(token : 1 .. 3);
        if
        :: held[token] && expired[token] ->
            behind = 0;
            job = 0;
            do
            :: job < JOBS && (ids[token] & BIT(job)) && token_of[job] == token ->
                if
                :: ends[job] = ends[job] + cancelled[job]; let_go(job)
                :: behind = 1 /* another has the row: the next sweep */
                fi;
                job++
            :: job < JOBS && !((ids[token] & BIT(job)) && token_of[job] == token) -> job++
            :: job == JOBS -> break
            od;
            if
            :: behind -> owner[token] = NOBODY
            :: else -> remove(token)
            fi
        :: else
        fi
    }
    :: ends[0] && ends[1] -> break
    od
}

proctype weather() {
    do
    :: atomic { next_token > 1 -> select(token : 1 .. 3); expired[token] = held[token] }
    :: atomic { !cancelled[0] -> cancelled[0] = true; ends[0] = ends[0] + (token_of[0] == 0 && ends[0] == 0) }
    :: ends[0] && ends[1] -> break
    od
}

init {
    byte w = 0;
    atomic {
        do
        :: w < WORKERS -> run worker(w); w++
        :: else -> break
        od;
        run sweeper();
        run weather()
    }
}
