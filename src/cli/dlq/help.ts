// The text below the options of each verb of `millrace dlq`.

export const LIST_HELP = `
Examples:
  $ npx millrace dlq list customer-orders
  $ npx millrace dlq list customer-orders --state open --since 2026-01-05
  $ npx millrace dlq list customer-orders --letters --origin customer-orders-3

A letter is open, redriven (on its way back), resolved (processed) or discarded; parked is open, after as many failed
redrives as are allowed. A letter that failed several times, or that a sink has sent twice, is one.

A reset, a promotion and an undo each begin a generation. A letter whose record a later generation reads again is over: it
is shown with --state over, or by its id. --generation 0 shows letters as they were before the first of these.

Exit codes: 0 shown · 2 usage · 3 no such pipeline · 69 a server is away.`;

export const SHOW_HELP = `
Examples:
  $ npx millrace dlq show customer-orders 4d2c94995faf
  $ npx millrace dlq show customer-orders 4d2c94995faf --personal --json

Personal fields of the topic are masked, and bytes that hold them left out. With --personal they are shown, and who
asked, when and for how many letters is noted first (dlq stats).

Exit codes: 0 shown · 2 the beginning of several ids · 3 no such letter or pipeline · 69 a server is away.`;

export const STATS_HELP = `
Examples:
  $ npx millrace dlq stats customer-orders
  $ npx millrace dlq stats customer-orders --json

Exit codes: 0 shown · 3 no such pipeline · 69 a server is away.`;

export const EXPORT_HELP = `
Examples:
  $ npx millrace dlq export customer-orders --state open > letters.ndjson
  $ npx millrace dlq export customer-orders --class decode --out letters.ndjson --personal

Exit codes: 0 written · 2 usage · 3 no such pipeline · 69 a server is away.`;

export const REDRIVE_HELP = `
Examples:
  $ npx millrace dlq redrive customer-orders --dry-run
  $ npx millrace dlq redrive customer-orders --rule amount-not-negative --rate 200 --wait
  $ npx millrace dlq redrive customer-orders --parked --id 4d2c94995faf
  $ npx millrace dlq redrive customer-orders --cancel

Open letters go back, in the order of their records, to the partition and task that refused them, and through the part
from its source: a record that failed left nothing behind. Outputs, state and the letter's end are decided together.
What fails again is the same letter, open again; after --max redrives it is parked, and only --parked takes it.

Killed, it goes on where it was when it is run again: nothing is sent twice. A second redrive ends the first. --cancel
ends one that runs elsewhere; what was sent is not taken back. Letters come behind what was read meanwhile: rows give way
to newer ones, sums just grow, readers of an output topic see the order of arrival.

Exit codes: 0 sent, and with --wait resolved · 1 some were refused or failed again, or it was cancelled · 2 usage ·
3 no such pipeline · 5 another command came between · 69 a server is away: run it again.`;

export const DISCARD_HELP = `
Examples:
  $ npx millrace dlq discard customer-orders --id 4d2c94995faf --reason "test data"
  $ npx millrace dlq discard customer-orders --class decode --reason "JSN-42: producer was wrong" --yes

Letters stay in their topic; a discarded one is shown with its reason, and who discarded it is noted. On a terminal the
number of letters must be typed; elsewhere --yes is needed. Letters on their way back are left alone.

Exit codes: 0 done, or nothing to do, or shown by --dry-run · 2 usage, or not confirmed · 3 no such pipeline ·
5 another command came between · 69 a server is away.`;
