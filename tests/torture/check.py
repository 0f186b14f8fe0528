"""What the logs of the clients must say: nothing lost, nothing twice, in order, sums right.

Each check gives a list of sentences about what is wrong. `kills` is how many clients of that
role were killed: each may have done one thing more than it could write down.
"""
import collections
import os


class Logs:
    def __init__(self, folder):
        self.folder = folder

    def of(self, role):
        """{name: [[word, …], …]} of the clients of one role."""
        found = {}
        for file in os.listdir(self.folder):
            if file.startswith(role + "."):
                with open(os.path.join(self.folder, file), encoding="utf-8") as log:
                    found[file[len(role) + 1:]] = [line.split() for line in log]
        return found

    def words(self, role, word):
        return [line[1:] for lines in self.of(role).values() for line in lines
                if line[0] == word]

    def turns(self, role):
        return sum(map(len, self.of(role).values()))


def put_by(logs, role):
    """Messages that were certainly put, and those that a killed producer may or may not have put."""
    sure, maybe = set(), set()
    for name, lines in logs.of(role).items():
        for word, low, high in lines:
            messages = {(name, i) for i in range(int(low), int(high))}
            if word == "try":
                maybe |= messages
            else:
                sure |= messages
                maybe -= messages
    return sure, maybe


def once(taken, sure, maybe, kills, what):
    counts = collections.Counter(taken)
    wrong = [f"{what} {n} times: {message}" for message, n in counts.items() if n > 1]
    wrong += [f"{what}, but never put: {m}" for m in counts.keys() - sure - maybe]
    lost = sure - counts.keys()
    if len(lost) > kills:
        wrong.append(f"{len(lost)} put and not {what} (allowed {kills}): {sorted(lost)[:5]}")
    return wrong


def check_queue(logs, kills, putter, getter):
    sure, maybe = put_by(logs, putter)
    wrong, taken = [], []
    # What a direct consumer had been given when it was killed goes back to the head: behind what others took.
    back = kills[getter]
    for consumer, lines in logs.of(getter).items():
        last = {}
        for _, producer, count in lines:
            if int(count) <= last.get(producer, -1) and back:
                back -= 1
            elif int(count) <= last.get(producer, -1):
                wrong.append(f"{getter} {consumer}: {producer}'s {count} after {last[producer]}")
            last[producer] = int(count)
            taken.append((producer, int(count)))
    return wrong + once(taken, sure, maybe, kills[getter], "got")


def check_leases(logs, kills):
    sure, maybe = put_by(logs, "lease_producer")
    acked = [(who, int(count)) for who, count in logs.words("leaser", "acked")]
    return once(acked, sure, maybe, kills["leaser"], "acked")


def inside(logs, role, most):
    """At most `most` clients were inside at once. One that was killed inside counts only for an
    instant."""
    steps = []
    for lines in logs.of(role).values():
        entered = None
        for word, ns in lines:
            if word == "in":
                entered = int(ns)
            else:
                steps += [(entered, 1), (int(ns), -1)]
    now = highest = 0
    for _, step in sorted(steps):    # at the same instant: first out, then in
        now += step
        highest = max(highest, now)
    return [f"{role}: {highest} inside at once, {most} allowed"] if highest > most else []


def check_section(logs, role, kills):
    """The counter that they read and wrote under the lock has one for each of them."""
    done = len(logs.words(role, "out"))
    with open(os.path.join(logs.folder, f"{role}-counter"), encoding="ascii") as file:
        counted = int(file.read())
    wrong = inside(logs, role, 1)
    if not done <= counted <= done + kills[role]:
        wrong.append(f"{role}: counted {counted} of {done} (+{kills[role]})")
    return wrong


def check_tokens(logs, kills, left):
    made, took = len(logs.words("maker", "made")), len(logs.words("taker", "took"))
    if abs(took + left - made) > kills["maker"] + kills["taker"]:
        return [f"tokens: {made} made, {took} taken, {left} left"]
    return []


def check_barrier(logs):
    """Every complete meeting of a group (NAME is GENERATION-MEMBER) has the indexes 0 to 3."""
    meetings = collections.defaultdict(list)
    for name, lines in logs.of("barrier").items():
        for _, round_, index in lines:
            meetings[name.split("-")[0], int(round_)].append(int(index))
    wrong = []
    last_of = {}
    for group, round_ in meetings:
        last_of[group] = max(round_, last_of.get(group, 0))
    for (group, round_), indexes in sorted(meetings.items()):
        if sorted(indexes) != [0, 1, 2, 3] and (len(set(indexes)) != len(indexes)
                                                or round_ < last_of[group] - 1):
            wrong.append(f"barrier group {group} round {round_}: {sorted(indexes)}")
    return wrong


def check_sum(logs, kills, total):
    tickets = [int(ticket) for ticket, in logs.words("adder", "ticket")]
    wrong = []
    if len(set(tickets)) != len(tickets):
        wrong.append("adder: a ticket was given twice")
    if not len(tickets) <= total <= len(tickets) + kills["adder"]:
        wrong.append(f"adder: {len(tickets)} additions (+{kills['adder']}) make {total}")
    return wrong
