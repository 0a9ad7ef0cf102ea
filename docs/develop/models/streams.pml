/*
 * Streams between a packet loop and service threads: the rings, the records and the words by which both sides sleep and
 * wake (abi/streams.ts, assembly/stream/, src/net/port.ts). README.md says how to run it, and what is not in it.
 *
 * Names are those of the code. A statement outside of d_step is one access to memory that both sides use; what only one
 * side uses is in d_step, which takes no time. Each field has one writer, as in abi/streams.ts. What begins with an
 * underscore is not in the code: it is for the assertions.
 *
 * All that peers, handlers and the main thread may do is counted, so that every run ends. It ends well only if it
 * comes to rest() with nothing left to do: a lost wake is found there, and whoever turns for ever by the search for cycles.
 */

#ifndef THREAD_COUNT
#define THREAD_COUNT 2
#endif
#ifndef BLOCKS                    /* control blocks, and as many records */
#define BLOCKS 1
#endif
#ifndef STREAMS                   /* connections that peers open, one after the other in the same blocks */
#define STREAMS 3
#endif
#ifndef BYTES                     /* bytes, or segments, that the peer of each sends */
#define BYTES 1
#endif
#ifndef PAGES
#define PAGES 0
#endif
#ifndef MAX_LENT
#define MAX_LENT 1
#endif
#ifndef WRITES                    /* pages that handlers want to send, of all streams */
#define WRITES 0
#endif
#ifndef KILLS                     /* service threads that end without a word */
#define KILLS 0
#endif
#ifndef CRASHES                   /* crashes of the packet loop */
#define CRASHES 0
#endif
#ifndef MAX_ORDERS
#define MAX_ORDERS 2
#endif
/* NO_TIMERS: handlers do nothing but when they hear of their streams. */

/* abi/streams.ts: a place for each block; and for each block's LOOK and LET_GO, and for each page on loan. */
#define NEWS_ENTRIES   BLOCKS
#define ORDERS_ENTRIES (2 * BLOCKS + MAX_LENT)
#if PAGES == 0
#define SIZE_PAGES 1
#else
#define SIZE_PAGES PAGES
#endif

/* Counters of entries are u32 in the code. Twice the size of the ring is enough to tell full from empty. */
#define NEWS_MOD   (2 * NEWS_ENTRIES)
#define ORDERS_MOD (2 * ORDERS_ENTRIES)
#define LENT_MOD   (2 * MAX_LENT)
#define COUNT(tail, head, mod) ((tail + mod - head) % mod)

/* ThreadState */
#define NONE 0
#define SERVING 1
#define GONE 2
#define ENDING 3
#define ENDED 4

/* STREAM_EVENTS */
#define EVENT_OPENED 1
#define EVENT_ENDED 2
#define EVENT_LET_GO 4

/* what of ORDERS; a page is PAGE + its number */
#define LOOK 0
#define LET_GO 1
#define PAGE 2

/* A block's STATE: FREE and HELD are both CLOSED, before and after releaseHeld(). */
#define FREE 0
#define OPEN 1
#define HELD 2

/* ---- the packet loop's words */
bit ORDERED; bit ASLEEP;
byte NEWS_FOR; byte STARVED;
byte STREAM_SERIAL;
byte STREAM_EPOCH;
byte NEWS[THREAD_COUNT * NEWS_ENTRIES]; byte NEWS_TAIL[THREAD_COUNT];
byte LENT[THREAD_COUNT * MAX_LENT]; byte LENT_TAIL[THREAD_COUNT]; byte LENT_COUNT[THREAD_COUNT];
byte ORDERS_HEAD[THREAD_COUNT];
byte TOLD[THREAD_COUNT];
byte state[BLOCKS];
byte IN_NEWS[BLOCKS];              /* a bit for each thread */
byte STREAM_CAME[BLOCKS]; byte STREAM_EVENTS[BLOCKS]; byte STREAM_NUMBER[BLOCKS]; byte STREAM_THREAD[BLOCKS];
byte STREAM_TAKEN[BLOCKS];

/* ---- the threads' */
byte ORDERS_AT[THREAD_COUNT * ORDERS_ENTRIES];   /* index of the block */
byte ORDERS_WHAT[THREAD_COUNT * ORDERS_ENTRIES];
byte ORDERS_TAIL[THREAD_COUNT];
byte TAKEN[THREAD_COUNT]; bit DOZES[THREAD_COUNT]; byte EPOCH_SEEN[THREAD_COUNT];
bit IN_ORDERS[BLOCKS]; byte STREAM_READ[BLOCKS];
byte THREAD_STATE[THREAD_COUNT];

/* ---- eventfds */
bit loopFd; bit threadFd[THREAD_COUNT];

/* ---- what a Port keeps, a field for each block of each thread */
byte ordersTail[THREAD_COUNT]; byte newsHead[THREAD_COUNT]; byte lentHead[THREAD_COUNT]; byte taken[THREAD_COUNT];
byte epoch[THREAD_COUNT];
bit behind[THREAD_COUNT];
byte number[THREAD_COUNT * BLOCKS];      /* of the stream that it has; 0 for none */
byte gone[THREAD_COUNT * BLOCKS];
byte read[THREAD_COUNT * BLOCKS];
bit hungry[THREAD_COUNT * BLOCKS];
bit sawEnded[THREAD_COUNT * BLOCKS];
#define AT(t, b) ((t) * BLOCKS + (b))
#if CRASHES > 0
#define SAME_EPOCH(t) (STREAM_EPOCH == epoch[t])
#else
#define SAME_EPOCH(t) true
#endif

/* ---- budgets, and what assertions look at */
byte left = STREAMS; byte writes = WRITES; byte kills = KILLS; byte crashes = CRASHES;
bit silent;                              /* peers say nothing more */
byte sweeping;                           /* blocks that are still to be swept, plus one; 0 for no sweep */
bit dead[THREAD_COUNT]; bit ran[THREAD_COUNT]; bit crashed; bit loopEnded;
byte pageAt[SIZE_PAGES];                 /* where each page is: */
#define POOL 0
#define ON_LOAN(t) (1 + (t))
#define SENT(b) (1 + THREAD_COUNT + (b))
byte _serial[BLOCKS];                    /* which stream the block really is */
byte _mine[THREAD_COUNT * BLOCKS];       /* which stream the thread really has */
byte _takenBy[STREAMS + 1];              /* 1 + the thread that took the stream, if one has */
byte _ordersOf[THREAD_COUNT * ORDERS_ENTRIES];   /* which stream an order is of */
byte _head[THREAD_COUNT];                /* entries of ORDERS that have been read, to the entry */

/* ---- assembly/stream/thread.ts */

#define SEEN(t) (EPOCH_SEEN[t] == STREAM_EPOCH)
#ifdef BAD_NO_EPOCH_SEEN
#undef SEEN
#define SEEN(t) true
#endif
#define TAKES(t) (THREAD_STATE[t] == SERVING && SEEN(t))
#if THREAD_COUNT == 1
#define ANY_TAKES TAKES(0)
#else
#define ANY_TAKES (TAKES(0) || TAKES(1))
#endif

#ifdef BAD_TELL_LET_GO
#define TOLD_OF(b) true
#else
#define TOLD_OF(b) (!(STREAM_EVENTS[b] & EVENT_LET_GO))
#endif

/* An exchange, and then, if the bit was not set, the entry with the store of NEWS_TAIL. */
inline tell(b) {
  d_step {
    to = STREAM_THREAD[b];
    was = 1;
    if
    :: TOLD_OF(b) ->
      assert(!(STREAM_EVENTS[b] & EVENT_LET_GO));
      was = IN_NEWS[b] & (1 << to);
      IN_NEWS[b] = IN_NEWS[b] | (1 << to)
    :: else
    fi
  }
  if
  :: was == 0 ->
    d_step {
      assert(COUNT(NEWS_TAIL[to], newsHead[to], NEWS_MOD) < NEWS_ENTRIES || !SEEN(to) || dead[to]);
      NEWS[to * NEWS_ENTRIES + NEWS_TAIL[to] % NEWS_ENTRIES] = b;
      NEWS_TAIL[to] = (NEWS_TAIL[to] + 1) % NEWS_MOD;
      NEWS_FOR = NEWS_FOR | (1 << to);
      to = 0
    }
  :: else -> d_step { to = 0; was = 0 }
  fi
}

inline happened(b, event) {
  d_step {
    if
    :: event == EVENT_OPENED ->
      TOLD[STREAM_THREAD[b]]++;
#ifndef BAD_NO_SWEEP_AGAIN
      /* The sweep that ends the thread may have passed the block. */
      if :: THREAD_STATE[STREAM_THREAD[b]] == ENDING -> sweeping = BLOCKS + 1 :: else fi
#endif
    :: else
    fi;
    STREAM_EVENTS[b] = STREAM_EVENTS[b] | event
  }
  tell(b)
}

inline givePage(p) { pageAt[p] = POOL }

/* One step: what the thread sees of it is the store of LENT_TAIL. */
inline lend(t) {
  STARVED = STARVED & (255 - (1 << t));
  i = 0; was = 0;
  if
  :: THREAD_STATE[t] == SERVING && SEEN(t) && LENT_COUNT[t] <= MAX_LENT / 2 ->
    do
    :: i < PAGES && LENT_COUNT[t] < MAX_LENT ->
      if
      :: pageAt[i] == POOL ->
        pageAt[i] = ON_LOAN(t);
        assert(COUNT((LENT_TAIL[t] + was), lentHead[t], LENT_MOD) < MAX_LENT || dead[t]);
        LENT[t * MAX_LENT + (LENT_TAIL[t] + was) % MAX_LENT] = i;
        was++; LENT_COUNT[t]++
      :: else
      fi;
      i++
    :: else -> break
    od;
#ifndef BAD_NOT_LENT_AGAIN
    if :: PAGES > 0 && LENT_COUNT[t] == 0 -> STARVED = STARVED | (1 << t) :: else fi;
#endif
    if
    :: was > 0 -> LENT_TAIL[t] = (LENT_TAIL[t] + was) % LENT_MOD; NEWS_FOR = NEWS_FOR | (1 << t)
    :: else
    fi
  :: else
  fi;
  i = 0; was = 0
}

inline endThread(t) {
    i = 0;
    do :: i < PAGES -> if :: pageAt[i] == ON_LOAN(t) -> givePage(i) :: else fi; i++ :: else -> break od;
    i = 0;
#ifndef BAD_IN_NEWS_STAYS
    do :: i < BLOCKS -> IN_NEWS[i] = IN_NEWS[i] & (255 - (1 << t)); i++ :: else -> break od;
#endif
    i = 0;
    NEWS_TAIL[t] = 0; LENT_TAIL[t] = 0; ORDERS_HEAD[t] = 0; _head[t] = 0; LENT_COUNT[t] = 0; TOLD[t] = 0;
    ORDERS_TAIL[t] = 0; TAKEN[t] = 0; EPOCH_SEEN[t] = STREAM_EPOCH;
    /* There is nobody any more who would read them. */
    newsHead[t] = 0; lentHead[t] = 0;
    THREAD_STATE[t] = ENDED
}

/* ---- assembly/stream/stream.ts and assembly/tcp/ */

inline releaseHeld(b) { state[b] = FREE; _serial[b] = 0 }

inline dropSent(b) {
  i = 0;
  do :: i < PAGES -> if :: pageAt[i] == SENT(b) -> givePage(i) :: else fi; i++ :: else -> break od;
  i = 0
}

inline begin(b) {
  d_step {
    left--; state[b] = OPEN; STREAM_SERIAL++; _serial[b] = STREAM_SERIAL;
#ifdef BAD_IN_NEWS_CLEARED
    IN_NEWS[b] = 0;
#endif
    STREAM_EVENTS[b] = 0; STREAM_NUMBER[b] = 0; STREAM_THREAD[b] = 0; STREAM_CAME[b] = 0; STREAM_TAKEN[b] = 0;
    IN_ORDERS[b] = 0; STREAM_READ[b] = 0
  }
}

/* The thread: each in turn in the code, any that takes one here; if none does, any. */
inline open(b) {
  if
  :: TAKES(0) || !ANY_TAKES -> STREAM_THREAD[b] = 0
#if THREAD_COUNT > 1
  :: TAKES(1) || !ANY_TAKES -> STREAM_THREAD[b] = 1
#endif
  fi;
  STREAM_NUMBER[b] = _serial[b];
  d_step { lend(STREAM_THREAD[b]) }
}

#define KNOWN(b) ((STREAM_EVENTS[b] & (EVENT_OPENED | EVENT_LET_GO)) == EVENT_OPENED)

/* give(): the connection is over. */
inline give(b) {
  d_step { dropSent(b); if :: KNOWN(b) -> state[b] = HELD :: else -> releaseHeld(b) fi }
  if :: state[b] == HELD -> happened(b, EVENT_ENDED) :: else fi
}

/* ---- assembly/stream/orders.ts */

#define MINE(t, b) (state[b] != FREE && KNOWN(b) && STREAM_THREAD[b] == t)

inline look(b) {
#ifdef BAD_IN_ORDERS_AFTER
  STREAM_TAKEN[b] = STREAM_READ[b];
  IN_ORDERS[b] = 0
#else
  IN_ORDERS[b] = 0;
  STREAM_TAKEN[b] = STREAM_READ[b]
#endif
}

/* The handler may have shut its side, so that what it has sent still goes out; or reset it; or neither. */
inline letGo(b) {
  look(b);
  if
  :: state[b] == OPEN -> give(b)
  :: true
  fi;
  STREAM_EVENTS[b] = STREAM_EVENTS[b] | EVENT_LET_GO;
  if
  :: state[b] == HELD -> d_step { releaseHeld(b) }
  :: state[b] == OPEN -> give(b)
  :: state[b] == OPEN
  fi
}

inline takeOrder(t) {
  d_step {
    orders--;
    b = ORDERS_AT[t * ORDERS_ENTRIES + _head[t] % ORDERS_ENTRIES];
    what = ORDERS_WHAT[t * ORDERS_ENTRIES + _head[t] % ORDERS_ENTRIES];
    /* Whatever a thread orders is of the stream that it means, or of none. */
    assert(!MINE(t, b) || _ordersOf[t * ORDERS_ENTRIES + _head[t] % ORDERS_ENTRIES] == _serial[b]);
    _head[t] = (_head[t] + 1) % ORDERS_MOD;
    if
    :: what >= PAGE ->
      assert(pageAt[what - PAGE] == ON_LOAN(t));
      LENT_COUNT[t]--;
      if :: MINE(t, b) && state[b] == OPEN -> pageAt[what - PAGE] = SENT(b) :: else -> givePage(what - PAGE) fi
    :: else
    fi
  }
  if
  :: what == LOOK && MINE(t, b) -> look(b)
  :: what == LET_GO && MINE(t, b) -> letGo(b)
  :: else
  fi;
  b = 0; what = 0
}

/* The orders of a thread, unless it has ended or knows nothing yet of the last crash. */
inline takeOrdersOf(t) {
  d_step {
    tail = _head[t];
    if
    :: THREAD_STATE[t] == GONE -> THREAD_STATE[t] = ENDING; sweeping = BLOCKS + 1
    :: THREAD_STATE[t] != GONE && SEEN(t) -> tail = ORDERS_TAIL[t]
    :: else
    fi
  }
  do
  :: _head[t] != tail && orders > 0 -> takeOrder(t)
  :: else -> break
  od;
  if :: _head[t] != tail -> ORDERED = 1 :: else fi;
  d_step { ORDERS_HEAD[t] = _head[t]; lend(t); tail = 0 }
}

inline takeOrders() {
#ifndef BAD_ORDERED_AFTER
  ORDERED = 0;
#endif
  orders = MAX_ORDERS;
  takeOrdersOf(0);
#if THREAD_COUNT > 1
  takeOrdersOf(1);
#endif
#ifdef BAD_ORDERED_AFTER
  ORDERED = 0;
#endif
  orders = 0
}

/* Looks at one block, as if there were room for no more in a round. */
inline sweep() {
  d_step {
    if
    :: sweeping > 1 ->
      b = sweeping - 2;
      if
      :: state[b] != FREE && KNOWN(b) && THREAD_STATE[STREAM_THREAD[b]] == ENDING ->
        STREAM_EVENTS[b] = STREAM_EVENTS[b] | EVENT_LET_GO;
        dropSent(b);
        releaseHeld(b)
      :: else
      fi;
      sweeping--;
      b = 0
    :: sweeping == 1 ->
      sweeping = 0;
      if :: THREAD_STATE[0] == ENDING -> endThread(0) :: else fi;
#if THREAD_COUNT > 1
      if :: THREAD_STATE[1] == ENDING -> endThread(1) :: else fi;
#endif
      b = 0
    :: else
    fi
  }
}

/* A packet of a peer's, if it says anything. */
#define PACKET (!silent && (left > 0 || state[0] == OPEN || (BLOCKS > 1 && state[BLOCKS - 1] == OPEN)))

inline packet() {
  if
  :: b = 0
#if BLOCKS > 1
  :: b = 1
#endif
  fi;
  if
  :: state[b] == FREE && left > 0 && ANY_TAKES -> begin(b)
  /* Its handshake is complete. */
  :: state[b] == OPEN && STREAM_NUMBER[b] == 0 -> open(b)
  /* The first bytes have come, or the thread need not wait for them. */
  :: state[b] == OPEN && STREAM_NUMBER[b] != 0 && !(STREAM_EVENTS[b] & EVENT_OPENED) -> happened(b, EVENT_OPENED)
  :: state[b] == OPEN && KNOWN(b) && STREAM_CAME[b] < BYTES -> STREAM_CAME[b]++; tell(b)
  :: state[b] == OPEN && (STREAM_EVENTS[b] & EVENT_LET_GO) && STREAM_CAME[b] < BYTES -> STREAM_CAME[b]++; tell(b)
#if PAGES > 0
  /* An acknowledgement. */
  :: pageAt[0] == SENT(b) -> d_step { givePage(0) }
  :: PAGES > 1 && pageAt[PAGES - 1] == SENT(b) -> d_step { givePage(PAGES - 1) }
#endif
  :: state[b] == OPEN -> give(b)
  :: silent = 1
  fi;
  b = 0
}

inline lendAgain() {
  d_step {
    if :: STARVED & 1 -> lend(0) :: else fi;
#if THREAD_COUNT > 1
    if :: STARVED & 2 -> lend(1) :: else fi
#endif
  }
}

/* src/daemon/worker.ts. The exchange, and the write of the eventfd. */
inline wakeThread(t) {
  if
  :: NEWS_FOR & (1 << t) ->
    d_step {
      NEWS_FOR = NEWS_FOR & (255 - (1 << t));
#ifndef BAD_NOBODY_WAKES
      if :: DOZES[t] -> DOZES[t] = 0; threadFd[t] = 1 :: else fi
#endif
    }
  :: else
  fi
}

inline wake() {
  wakeThread(0);
#if THREAD_COUNT > 1
  wakeThread(1)
#endif
}

#define CAME (PACKET || sweeping > 0)

proctype loop() {
  byte b, to, what, tail, orders, i, was;
  {
    skip;
top:
    /* Before it sleeps, if nothing is due. */
    if
    :: CAME
    :: true ->
#ifndef BAD_ASLEEP_AFTER
      ASLEEP = 1;
      if
      :: ORDERED != 0
      :: else ->
end0:   if :: loopFd -> loopFd = 0 :: CAME fi
      fi;
#else
      if
      :: ORDERED != 0
      :: else ->
        ASLEEP = 1;
end1:   if :: loopFd -> loopFd = 0 :: CAME fi
      fi;
#endif
      ASLEEP = 0
    fi;
    /* judge() */
    if :: ORDERED != 0 -> takeOrders() :: else fi;
    if :: sweeping > 0 -> sweep() :: else fi;
    if :: PACKET -> packet() :: else fi;
    lendAgain();
    wake();
    goto top
  } unless { crashed };
  loopEnded = 1
}

/* ---- src/net/port.ts */

inline order(t, b, w) {
  d_step {
    assert(COUNT(ordersTail[t], _head[t], ORDERS_MOD) < ORDERS_ENTRIES || EPOCH_SEEN[t] != STREAM_EPOCH);
    ORDERS_AT[t * ORDERS_ENTRIES + ordersTail[t] % ORDERS_ENTRIES] = b;
    ORDERS_WHAT[t * ORDERS_ENTRIES + ordersTail[t] % ORDERS_ENTRIES] = w;
    _ordersOf[t * ORDERS_ENTRIES + ordersTail[t] % ORDERS_ENTRIES] = _mine[AT(t, b)];
    ordersTail[t] = (ordersTail[t] + 1) % ORDERS_MOD;
    behind[t] = 1
  }
}

inline orderLook(t, b) {
  d_step { was = IN_ORDERS[b]; IN_ORDERS[b] = 1 }
  if :: was == 0 -> order(t, b, LOOK) :: else fi;
  was = 0
}

inline flush(t) {
  if
  :: behind[t] && SAME_EPOCH(t) ->
    behind[t] = 0;
    ORDERS_TAIL[t] = ordersTail[t];
    ORDERED = 1;
    if :: ASLEEP != 0 -> loopFd = 1 :: else fi
  :: else
  fi
}

inline forgetStream(t, b) {
  number[AT(t, b)] = 0; _mine[AT(t, b)] = 0; hungry[AT(t, b)] = 0; read[AT(t, b)] = 0; sawEnded[AT(t, b)] = 0
}

/* A handler has read all that has come, and says so. */
inline readAll(t, b) {
  if
  :: SAME_EPOCH(t) && STREAM_CAME[b] != read[AT(t, b)] ->
    /* Between reloads of the epoch is a crash, and a start of the packet loop: that is no single step. */
    d_step {
      if
      :: SAME_EPOCH(t) ->
        assert(_serial[b] == _mine[AT(t, b)]);
        read[AT(t, b)] = STREAM_CAME[b]
      :: else
      fi
    }
    STREAM_READ[b] = read[AT(t, b)];
    orderLook(t, b)
  :: else
  fi
}

inline hasLetGo(t, b) {
  d_step {
    gone[AT(t, b)] = number[AT(t, b)];
  }
  order(t, b, LET_GO);
  d_step { forgetStream(t, b) }
}

/* Writes a page, if there is one. */
inline write(t, b) {
  if
  :: LENT_TAIL[t] != lentHead[t] && SAME_EPOCH(t) ->
    d_step {
      page = LENT[t * MAX_LENT + lentHead[t] % MAX_LENT];
      lentHead[t] = (lentHead[t] + 1) % LENT_MOD;
      assert(pageAt[page] == ON_LOAN(t) || !SAME_EPOCH(t));
      hungry[AT(t, b)] = 0
    }
    order(t, b, PAGE + page);
    d_step { page = 0; writes-- }
  :: else ->
    hungry[AT(t, b)] = 1;
#ifdef BAD_HUNGERS_TWICE
    order(t, b, LOOK)
#else
    orderLook(t, b)
#endif
  fi
}

/* What a handler does when it hears of its stream. */
inline holder(t, b) {
  if :: sawEnded[AT(t, b)] || STREAM_EVENTS[b] & EVENT_ENDED -> sawEnded[AT(t, b)] = 1 :: else fi;
  readAll(t, b);
  if
  :: sawEnded[AT(t, b)] || !hungry[AT(t, b)] -> hasLetGo(t, b)
  :: !sawEnded[AT(t, b)] && writes > 0 -> write(t, b)
  :: !sawEnded[AT(t, b)]
  fi
}

/* #look(): there is news of a block. */
inline hear(t, b) {
#ifndef BAD_IN_NEWS_AFTER
  IN_NEWS[b] = IN_NEWS[b] & (255 - (1 << t));
#endif
  if
  :: number[AT(t, b)] != 0 -> holder(t, b)
  :: else ->
    n = STREAM_NUMBER[b];
    if
    :: STREAM_EVENTS[b] & EVENT_OPENED ->
      if
#ifndef BAD_NO_THREAD
      :: STREAM_THREAD[b] != t
#endif
#ifndef BAD_NUMBER_ONCE
      :: STREAM_NUMBER[b] != n
#endif
#ifndef BAD_NO_NUMBER
      :: gone[AT(t, b)] == n
#endif
      :: !SAME_EPOCH(t)
      :: else ->
        d_step {
          if
          :: SAME_EPOCH(t) ->
            assert(_serial[b] != 0);
            assert(_serial[b] == n);
            assert(_takenBy[_serial[b]] == 0);
            _takenBy[_serial[b]] = t + 1;
            _mine[AT(t, b)] = _serial[b]
          :: else
          fi;
          number[AT(t, b)] = n;
          gone[AT(t, b)] = 0;
          taken[t]++
        }
        TAKEN[t] = taken[t];
        holder(t, b)
      fi
    :: else
    fi;
    n = 0
  fi;
#ifdef BAD_IN_NEWS_AFTER
  IN_NEWS[b] = IN_NEWS[b] & (255 - (1 << t));
#endif
}

inline lose(t) {
  epoch[t] = STREAM_EPOCH;
  d_step {
    newsHead[t] = 0; ordersTail[t] = 0; lentHead[t] = 0; taken[t] = 0; behind[t] = 0;
    i = 0;
    do :: i < BLOCKS -> forgetStream(t, i); gone[AT(t, i)] = 0; i++ :: else -> break od;
    i = 0
  }
#ifndef BAD_TAKEN_STAYS
  TAKEN[t] = 0;
  ORDERS_TAIL[t] = 0;
#endif
  EPOCH_SEEN[t] = epoch[t]
}

#define HUNGRY(t) (hungry[AT(t, 0)] || (BLOCKS > 1 && hungry[AT(t, BLOCKS - 1)]))

inline turn(t) {
#if CRASHES > 0
  if :: !SAME_EPOCH(t) -> lose(t) :: else fi;
#endif
  tail = NEWS_TAIL[t];
  do
  :: newsHead[t] != tail && SAME_EPOCH(t) ->
    d_step { b = NEWS[t * NEWS_ENTRIES + newsHead[t] % NEWS_ENTRIES]; newsHead[t] = (newsHead[t] + 1) % NEWS_MOD }
    hear(t, b);
    b = 0
  :: else -> break
  od;
  tail = 0;
#if PAGES > 0
  if
  :: HUNGRY(t) && LENT_TAIL[t] != lentHead[t] ->
    b = 0;
    do
    :: b < BLOCKS -> if :: hungry[AT(t, b)] -> write(t, b) :: else fi; b++
    :: else -> break
    od;
    b = 0
  :: else
  fi;
#endif
  flush(t)
}

/* doze(): the conditions on which a thread must not sleep. */
#define NEWS_THERE(t) (NEWS_TAIL[t] != newsHead[t] || (HUNGRY(t) && LENT_TAIL[t] != lentHead[t]) || !SAME_EPOCH(t))

proctype thread(byte t) {
  byte b, tail, page, n, was, i;
  {
    /* A Port begins. */
    d_step {
      newsHead[t] = 0; ordersTail[t] = 0; lentHead[t] = 0; taken[t] = 0; behind[t] = 0;
      do :: i < BLOCKS -> forgetStream(t, i); gone[AT(t, i)] = 0; i++ :: else -> break od;
      i = 0
    }
    epoch[t] = STREAM_EPOCH;
    EPOCH_SEEN[t] = epoch[t];
work:
    turn(t);
#ifdef BAD_DOZES_AFTER
    if :: NEWS_THERE(t) -> goto work :: else fi;
    DOZES[t] = 1;
#else
    DOZES[t] = 1;
    if :: NEWS_THERE(t) -> DOZES[t] = 0; goto work :: else fi;
#endif
    /* It sleeps until its eventfd is readable; meanwhile a timer of the handler's may have it do something. */
end2:
    do
    :: threadFd[t] -> threadFd[t] = 0; goto work
#ifndef NO_TIMERS
    :: d_step { number[AT(t, 0)] != 0 && SAME_EPOCH(t) && !hungry[AT(t, 0)] && !silent -> b = 0 }
      if
      :: writes > 0 && !hungry[AT(t, 0)] -> write(t, 0)
      :: !hungry[AT(t, 0)] && SAME_EPOCH(t) -> hasLetGo(t, 0)
      :: else
      fi;
      flush(t)
#endif
    od
  } unless { dead[t] };
  ran[t] = 0
}

/* ---- the main thread: starts a thread anew when it has ended, and a packet loop that has crashed */

inline forget() {
  d_step {
    STREAM_EPOCH++;
    i = 0;
    do
    :: i < BLOCKS ->
      state[i] = FREE; _serial[i] = 0; IN_NEWS[i] = 0; STREAM_EVENTS[i] = 0;
      i++
    :: else -> break
    od;
    i = 0;
    do :: i < PAGES -> pageAt[i] = POOL; i++ :: else -> break od;
    i = 0;
    do
    :: i < THREAD_COUNT ->
      NEWS_TAIL[i] = 0; LENT_TAIL[i] = 0; ORDERS_HEAD[i] = 0; _head[i] = 0; LENT_COUNT[i] = 0; TOLD[i] = 0;
      /* The sweep that was to end it is forgotten too. */
#ifndef BAD_ENDING_FORGOTTEN
      if :: THREAD_STATE[i] == ENDING -> THREAD_STATE[i] = GONE :: else fi;
#endif
      i++
    :: else -> break
    od;
    i = 0;
    sweeping = 0; STARVED = 0; ASLEEP = 0;
#ifdef BAD_ORDERED_FORGOTTEN
    ORDERED = 0;
#else
    ORDERED = 1;
#endif
#ifdef BAD_CRASH_UNTOLD
    NEWS_FOR = 0
#else
    NEWS_FOR = (1 << THREAD_COUNT) - 1
#endif
  }
}

active proctype supervisor() {
  byte i, t;
  do
  :: i < THREAD_COUNT -> d_step { ran[i] = 1; THREAD_STATE[i] = SERVING; i++ } run thread(i - 1)
  :: else -> break
  od;
  i = 0;
  run loop();
  do
  :: d_step { kills > 0 -> kills-- }
    if
    :: t = 0
#if THREAD_COUNT > 1
    :: t = 1
#endif
    fi;
    dead[t] = 1;
    !ran[t];
    d_step { if :: THREAD_STATE[t] == SERVING -> THREAD_STATE[t] = GONE :: else fi }
    ORDERED = 1;
    loopFd = 1;
    do
    :: THREAD_STATE[t] == ENDED -> break
    /* The loop may crash meanwhile. */
    :: d_step { crashes > 0 -> crashes--; crashed = 1 }
      loopEnded -> forget(); d_step { crashed = 0; loopEnded = 0 } run loop()
    od;
    skip;
    d_step { dead[t] = 0; ran[t] = 1; THREAD_STATE[t] = SERVING; DOZES[t] = 0; threadFd[t] = 0 }
    run thread(t);
    t = 0
  :: d_step { crashes > 0 -> crashes--; crashed = 1 }
    loopEnded -> forget(); d_step { crashed = 0; loopEnded = 0 } run loop()
  :: atomic { timeout -> break }
  od;
  /* Nobody has anything to do any more. So there must be nothing to do. */
  t = 0;
  d_step {
    assert(ORDERED == 0);
    t = 0;
    do
    :: t < THREAD_COUNT ->
      assert(THREAD_STATE[t] == SERVING && SEEN(t));
      assert(NEWS_TAIL[t] == newsHead[t] && ORDERS_TAIL[t] == _head[t] && ordersTail[t] == _head[t]);
      assert(TOLD[t] == TAKEN[t]);
      i = 0;
      do
      :: i < BLOCKS ->
        assert(!(IN_NEWS[i] & (1 << t)));
        assert(number[AT(t, i)] == 0 || (state[i] != FREE && KNOWN(i) && STREAM_THREAD[i] == t));
        assert(number[AT(t, i)] == 0 || _mine[AT(t, i)] == _serial[i]);
        assert(!(state[i] != FREE && KNOWN(i) && STREAM_THREAD[i] == t) || number[AT(t, i)] == _serial[i]);
        /* A stream waits for a page only while none is free or on its way back. */
        assert(!hungry[AT(t, i)] || PAGES == 0 || LENT_COUNT[t] == 0);
        i++
      :: else -> break
      od;
      t++
    :: else -> break
    od;
    i = 0;
    do
    :: i < BLOCKS ->
      assert(state[i] != HELD);
      assert(state[i] == FREE || !KNOWN(i) || STREAM_TAKEN[i] == STREAM_CAME[i]);
      i++
    :: else -> break
    od;
    i = 0;
    t = 0;
    do
    :: i < PAGES ->
      if :: pageAt[i] == POOL -> t++ :: else fi;
      assert(pageAt[i] <= THREAD_COUNT || state[pageAt[i] - 1 - THREAD_COUNT] == OPEN);
      i++
    :: else -> break
    od;
    /* Whoever waits for a page does so because there is none. */
    i = 0;
    do
    :: i < THREAD_COUNT -> assert(t == 0 || !HUNGRY(i)); i++
    :: else -> break
    od;
    i = 0
  }
}
