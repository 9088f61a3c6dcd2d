// The same real editing history in yjs, loro-crdt and automerge: two documents typed
// with the trace's true concurrency, then merged, must end with its text.
//
//   node text.mjs TRACE.json.gz [NAME...]        `weft bench text --peers` runs it
//
// Prints one JSON line a library: `type_ms`, both people typing and exchanging what the
// trace says; `merge_ms`, a third document that takes in what came of it; `bytes`, of
// that document saved. In memory, unsigned, nothing on a disk. Exact versions are in
// package.json.
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

const [file, ...names] = process.argv.slice(2)
const trace = JSON.parse(gunzipSync(readFileSync(file)))

// Edits of one agent between two exchanges; `fetch`: take in the other's first.
function steps () {
  const after = []
  const done = [0, 0]
  const fetched = [0, 0]
  const list = []
  for (const { agent, parents, patches } of trace.txns) {
    const seen = [0, 0]
    for (const p of parents) for (const i of [0, 1]) seen[i] = Math.max(seen[i], after[p][i])
    const other = 1 - agent
    const fetch = seen[other] > fetched[agent]
    if (fetch) fetched[agent] = seen[other]
    after.push([...seen])
    after.at(-1)[agent] = ++done[agent]
    list.push({ agent, patches, fetch: fetch ? seen[other] : 0 })
  }
  return list
}

// A library is: make(agent), edit(doc, patches), delta(doc) since the last delta,
// take(doc, delta), text(doc), save(doc).
const libraries = {
  async yjs () {
    const Y = await import('yjs')
    return {
      make (agent) {
        const doc = new Y.Doc()
        doc.clientID = agent + 1
        const state = { doc, text: doc.getText('t'), sent: Y.encodeStateVector(doc) }
        return state
      },
      edit (d, patches) {
        d.doc.transact(() => {
          for (const [at, removed, text] of patches) {
            if (removed) d.text.delete(at, removed)
            if (text) d.text.insert(at, text)
          }
        })
      },
      delta (d) {
        const update = Y.encodeStateAsUpdate(d.doc, d.sent)
        d.sent = Y.encodeStateVector(d.doc)
        return update
      },
      take (d, update) { Y.applyUpdate(d.doc, update) },
      text: (d) => d.text.toString(),
      save: (d) => Y.encodeStateAsUpdate(d.doc)
    }
  },
  async 'loro-crdt' () {
    const { LoroDoc } = await import('loro-crdt')
    return {
      make (agent) {
        const doc = new LoroDoc()
        doc.setPeerId(BigInt(agent + 1))
        return { doc, text: doc.getText('t'), sent: doc.version() }
      },
      edit (d, patches) {
        for (const [at, removed, text] of patches) {
          if (removed) d.text.delete(at, removed)
          if (text) d.text.insert(at, text)
        }
        d.doc.commit()
      },
      delta (d) {
        const update = d.doc.export({ mode: 'update', from: d.sent })
        d.sent = d.doc.version()
        return update
      },
      take (d, update) { d.doc.import(update) },
      text: (d) => d.text.toString(),
      save: (d) => d.doc.export({ mode: 'snapshot' })
    }
  },
  async '@automerge/automerge' () {
    const A = await import('@automerge/automerge')
    const base = A.from({ t: '' }, { actor: '00' })
    return {
      make (agent) { return { doc: A.clone(base, { actor: '0' + (agent + 1) }), sent: A.getHeads(base) } },
      edit (d, patches) {
        d.doc = A.change(d.doc, (draft) => {
          for (const [at, removed, text] of patches) A.splice(draft, ['t'], at, removed, text)
        })
      },
      delta (d) {
        const changes = A.getChangesSince ? A.getChangesSince(d.doc, d.sent) : A.getChanges(A.view(d.doc, d.sent), d.doc)
        d.sent = A.getHeads(d.doc)
        return changes
      },
      take (d, changes) { [d.doc] = A.applyChanges(d.doc, changes) },
      text: (d) => d.doc.t,
      save: (d) => A.save(d.doc)
    }
  }
}

const list = steps()
for (const name of names.length ? names : Object.keys(libraries)) {
  const lib = await libraries[name]()
  const docs = [lib.make(0), lib.make(1)]
  const deltas = [[], []] // [agent] -> { upto, delta }
  const done = [0, 0]
  const given = [0, 0]
  const all = []
  const flush = (agent) => {
    if (done[agent] === (deltas[agent].at(-1)?.upto ?? 0)) return
    const delta = lib.delta(docs[agent])
    deltas[agent].push({ upto: done[agent], delta })
    all.push(delta)
  }
  // What was given ends where the trace says: deltas are cut there beforehand.
  const cuts = [new Set(), new Set()]
  for (const s of list) if (s.fetch) cuts[1 - s.agent].add(s.fetch)
  const start = performance.now()
  for (const { agent, patches, fetch } of list) {
    const other = 1 - agent
    if (fetch) {
      while (given[agent] < deltas[other].length && deltas[other][given[agent]].upto <= fetch) {
        lib.take(docs[agent], deltas[other][given[agent]++].delta)
      }
    }
    lib.edit(docs[agent], patches)
    if (cuts[agent].has(++done[agent])) flush(agent)
  }
  flush(0)
  flush(1)
  for (const agent of [0, 1]) {
    while (given[agent] < deltas[1 - agent].length) lib.take(docs[agent], deltas[1 - agent][given[agent]++].delta)
  }
  const typed = performance.now()
  const reader = lib.make(2)
  for (const delta of all) lib.take(reader, delta)
  const merged = performance.now()
  const right = [docs[0], docs[1], reader].every((d) => lib.text(d) === trace.endContent)
  console.log(JSON.stringify({
    name, right, edits: list.length, type_ms: Math.round(typed - start),
    merge_ms: Math.round(merged - typed), deltas: all.length, bytes: lib.save(reader).length
  }))
}
