//! One thread, one queue, no real time: which task goes on next is chosen by a seed, and time passes only when every
//! task waits.
use super::random::Random;
use futures::future::LocalBoxFuture;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

/// What the tasks share with the scheduler: time, and which processes there are. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Kernel(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now: Duration,
    timers: BTreeMap<(Duration, u64), Due>,
    next_timer: u64,
    woken: Vec<usize>,
    lives: BTreeMap<u32, Life>,
    /// Processes that ended, and whose tasks are still there.
    killed: Vec<u32>,
    /// Whose task goes on right now.
    acting: u32,
}

enum Due {
    Wake(Waker),
    Act(Box<dyn FnOnce() + Send>),
}

/// Whether the tasks of a process go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    /// Nothing of it moves until it is thawed; what it sent is on its way.
    Frozen,
    /// Killed: none of its tasks ever goes on.
    Dead,
}

impl Kernel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the beginning.
    pub(super) fn now(&self) -> Duration {
        self.state().now
    }

    /// Does something when so much time has passed, whatever the processes do.
    pub(super) fn later(&self, after: Duration, act: Box<dyn FnOnce() + Send>) {
        let mut state = self.state();
        let at = state.now.saturating_add(after);
        state.at(at, Due::Act(act));
    }

    /// The process whose task goes on right now.
    pub(super) fn acting(&self) -> u32 {
        self.state().acting
    }

    pub(super) fn sleep(&self, time: Duration) -> Sleep {
        let at = self.now().saturating_add(time);
        Sleep { kernel: self.clone(), at, timer: None }
    }

    pub(super) fn set_life(&self, who: u32, life: Life) {
        let mut state = self.state();
        state.lives.insert(who, life);
        if life == Life::Dead {
            state.killed.push(who);
        }
    }

    /// Of a process; one without tasks is dead.
    pub(super) fn life(&self, who: u32) -> Life {
        self.state().lives.get(&who).copied().unwrap_or(Life::Dead)
    }
}

impl State {
    fn at(&mut self, at: Duration, due: Due) -> (Duration, u64) {
        self.next_timer += 1;
        let key = (at, self.next_timer);
        self.timers.insert(key, due);
        key
    }
}

/// Resolves when the time has come.
pub(super) struct Sleep {
    kernel: Kernel,
    at: Duration,
    timer: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let kernel = self.kernel.clone();
        let mut state = kernel.state();
        if state.now >= self.at {
            return Poll::Ready(());
        }
        let due = Due::Wake(context.waker().clone());
        match self.timer {
            Some(key) => drop(state.timers.insert(key, due)),
            None => self.timer = Some(state.at(self.at, due)),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer {
            self.kernel.state().timers.remove(&key);
        }
    }
}

struct Ready {
    task: usize,
    queued: AtomicBool,
    kernel: Kernel,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.kernel.state().woken.push(self.task);
        }
    }
}

struct Task {
    who: u32,
    future: LocalBoxFuture<'static, ()>,
    ready: Arc<Ready>,
    waker: Waker,
}

/// Starts tasks from within tasks. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Spawner(Rc<RefCell<Vec<Started>>>);

/// A task, and the process that it is part of.
type Started = (u32, LocalBoxFuture<'static, ()>);

impl Spawner {
    /// A task of a process.
    pub(super) fn spawn(&self, who: u32, future: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().push((who, Box::pin(future)));
    }
}

/// Runs tasks.
pub(super) struct Scheduler {
    pub(super) kernel: Kernel,
    pub(super) spawner: Spawner,
    random: Random,
    tasks: Vec<Option<Task>>,
    free: Vec<usize>,
    ready: Vec<usize>,
    /// Ready tasks of frozen processes.
    held: Vec<usize>,
    steps: u64,
    /// Of all that happened, in order: equal for equal runs.
    print: u64,
    /// Who went on lately, if there have been too many steps.
    busy: BTreeMap<u32, u64>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The main task is done.
    Done,
    /// Every task waits for another one.
    Deadlock,
    /// More steps than a run can need: something turns in circles.
    Endless,
}

impl Scheduler {
    pub(super) fn new(random: Random) -> Self {
        Self {
            kernel: Kernel::default(),
            spawner: Spawner::default(),
            random,
            tasks: Vec::new(),
            free: Vec::new(),
            ready: Vec::new(),
            held: Vec::new(),
            steps: 0,
            print: 0,
            busy: BTreeMap::new(),
        }
    }

    /// How many times a task went on, and a fingerprint of the order in which they did.
    pub(super) fn trace(&self) -> (u64, u64) {
        (self.steps, self.print)
    }

    /// The process that went on most often in the last steps of an endless run.
    pub(super) fn busiest(&self) -> Option<u32> {
        self.busy.iter().max_by_key(|(_, steps)| **steps).map(|(who, _)| *who)
    }

    /// Runs until `is_done`, which is asked whenever a task has gone on.
    pub(super) fn run(&mut self, is_done: impl Fn() -> bool) -> End {
        while !is_done() {
            self.admit();
            if self.ready.is_empty() && !self.pass_time() {
                return End::Deadlock;
            }
            if let Some(id) = self.choose() {
                self.go_on(id);
            }
            if self.steps > STEPS_MAX {
                return End::Endless;
            }
        }
        End::Done
    }

    /// Takes in what was started, and what was woken.
    fn admit(&mut self) {
        loop {
            let started = std::mem::take(&mut *self.spawner.0.borrow_mut());
            if started.is_empty() {
                break;
            }
            for (who, future) in started {
                let id = self.free.pop().unwrap_or(self.tasks.len());
                let ready =
                    Ready { task: id, queued: AtomicBool::new(true), kernel: self.kernel.clone() };
                let ready = Arc::new(ready);
                let waker = Waker::from(Arc::clone(&ready));
                let task = Some(Task { who, future, ready, waker });
                match self.tasks.get_mut(id) {
                    Some(place) => *place = task,
                    None => self.tasks.push(task),
                }
                self.ready.push(id);
            }
        }
        // A process ends with all its tasks at once, wherever they wait: whoever waits for them finds out.
        loop {
            let killed = std::mem::take(&mut self.kernel.state().killed);
            if killed.is_empty() {
                break;
            }
            for id in 0..self.tasks.len() {
                if self.who(id).is_some_and(|it| killed.contains(&it)) {
                    self.bury(id);
                }
            }
        }
        self.ready.append(&mut self.kernel.state().woken);
    }

    fn who(&self, id: usize) -> Option<u32> {
        self.tasks.get(id)?.as_ref().map(|it| it.who)
    }

    /// On to the next moment at which something is due; false if there is none.
    fn pass_time(&mut self) -> bool {
        let mut acts = Vec::new();
        {
            let mut guard = self.kernel.state();
            let state = &mut *guard;
            let Some(((at, _), _)) = state.timers.first_key_value() else { return false };
            state.now = *at;
            let mut wakers = Vec::new();
            while let Some(entry) = state.timers.first_entry()
                && entry.key().0 <= state.now
            {
                match entry.remove() {
                    Due::Wake(waker) => wakers.push(waker),
                    Due::Act(act) => acts.push(act),
                }
            }
            drop(guard);
            wakers.iter().for_each(Waker::wake_by_ref);
        }
        for act in acts {
            act();
        }
        self.thaw();
        true
    }

    /// Those held back whose process runs again.
    fn thaw(&mut self) {
        let held = std::mem::take(&mut self.held);
        for id in held {
            match self.who(id).map(|it| self.kernel.life(it)) {
                Some(Life::Frozen) => self.held.push(id),
                Some(Life::Running) => self.ready.push(id),
                Some(Life::Dead) => self.bury(id),
                None => {}
            }
        }
    }

    fn choose(&mut self) -> Option<usize> {
        if self.ready.is_empty() {
            return None;
        }
        let index = self.random.index(self.ready.len());
        Some(self.ready.swap_remove(index))
    }

    fn go_on(&mut self, id: usize) {
        let Some(task) = self.tasks.get_mut(id).and_then(Option::as_mut) else { return };
        match self.kernel.life(task.who) {
            Life::Frozen => return self.held.push(id),
            Life::Dead => return self.bury(id),
            Life::Running => {}
        }
        task.ready.queued.store(false, Ordering::Relaxed);
        let who = task.who;
        self.kernel.state().acting = who;
        let is_over = task.future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready();
        self.steps += 1;
        if self.steps + 1000 > STEPS_MAX {
            *self.busy.entry(who).or_default() += 1;
        }
        self.note(id as u64);
        self.note(u64::from(who) << 1 | u64::from(is_over));
        let nanos = self.kernel.now().as_nanos();
        self.note(u64::try_from(nanos).unwrap_or(u64::MAX));
        if is_over {
            self.bury(id);
        }
    }

    fn bury(&mut self, id: usize) {
        if let Some(place) = self.tasks.get_mut(id)
            && let Some(task) = place.take()
        {
            // A task that is woken later is nobody's.
            task.ready.queued.store(true, Ordering::Relaxed);
            self.ready.retain(|it| *it != id);
            self.held.retain(|it| *it != id);
            self.kernel.state().woken.retain(|it| *it != id);
            drop(task);
            self.free.push(id);
        }
    }

    fn note(&mut self, what: u64) {
        self.print = (self.print ^ what).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
}

/// A run of some hundred commands takes tens of thousands.
const STEPS_MAX: u64 = 5_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn order_of(seed: u64) -> (Vec<u32>, (u64, u64)) {
        let mut scheduler = Scheduler::new(Random::new(seed, 0));
        let order: Rc<RefCell<Vec<u32>>> = Rc::default();
        let left = Rc::new(Cell::new(6));
        for who in 1..=6 {
            scheduler.kernel.set_life(who, Life::Running);
            let (kernel, order, left) =
                (scheduler.kernel.clone(), Rc::clone(&order), Rc::clone(&left));
            scheduler.spawner.spawn(who, async move {
                kernel.sleep(Duration::from_millis(u64::from(who / 3))).await;
                order.borrow_mut().push(who);
                left.set(left.get() - 1);
            });
        }
        assert_eq!(scheduler.run(|| left.get() == 0), End::Done);
        let order = order.borrow().clone();
        (order, scheduler.trace())
    }

    #[test]
    fn one_seed_one_order_and_time_goes_first() {
        let (order, trace) = order_of(7);
        assert_eq!(order_of(7), (order.clone(), trace));
        let when: Vec<u32> = order.iter().map(|it| it / 3).collect();
        assert!(when.is_sorted(), "{order:?}");
        assert!((8..40).any(|seed| order_of(seed).0 != order), "no seed changes the order");
    }

    #[test]
    fn the_frozen_wait_and_the_dead_never_go_on() {
        let mut scheduler = Scheduler::new(Random::new(1, 0));
        let kernel = scheduler.kernel.clone();
        let went: Rc<RefCell<Vec<(u32, Duration)>>> = Rc::default();
        for (who, life) in [(1, Life::Running), (2, Life::Frozen), (3, Life::Dead)] {
            kernel.set_life(who, life);
            let (kernel, went) = (kernel.clone(), Rc::clone(&went));
            scheduler.spawner.spawn(who, async move {
                kernel.sleep(Duration::from_millis(1)).await;
                went.borrow_mut().push((who, kernel.now()));
            });
        }
        let thaw = kernel.clone();
        let act = move || thaw.set_life(2, Life::Running);
        kernel.later(Duration::from_millis(5), Box::new(act));
        assert_eq!(scheduler.run(|| went.borrow().len() == 2), End::Done);
        let millis = Duration::from_millis;
        assert_eq!(*went.borrow(), [(1, millis(1)), (2, millis(6))]);
        assert_eq!(scheduler.run(|| false), End::Deadlock);
    }
}
