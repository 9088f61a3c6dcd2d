// Random sessions between Weft and Node through a proxy that cuts the connection after a
// random number of bytes, in either direction; whoever was cut off comes back, until both
// have everything. Cores are small and many sessions share two stores, so that the real
// packages do little but talk. node chaos.mjs SESSIONS [SEED]; a failure names its seed.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Corestore from 'corestore'
import { WeftPeer, generator, hex, join2, serve, within } from './peers.mjs'

const sessions = Number(process.argv[2] ?? 1000)
const seed = Number(process.argv[3] ?? process.env.WEFT_SEED ?? 1)
const random = generator(seed)

// Joins two sockets and cuts both once so many bytes went either way.
function chaos (left, right, budget) {
  const cut = () => { left.destroy(); right.destroy() }
  for (const [from, to] of [[left, right], [right, left]]) {
    from.on('data', bytes => {
      const allowed = bytes.subarray(0, Math.max(0, budget))
      budget -= bytes.length
      if (allowed.length > 0) to.write(allowed)
      if (budget <= 0) { left.end(); right.end(); setImmediate(cut) }
    })
    from.on('error', cut)
    from.on('close', cut)
  }
}

// A proxy before `address`; the budget of each connection comes from `next`.
async function proxy (address, next) {
  const [host, port] = address.split(':')
  return serve(null, socket => {
    const other = net.connect(Number(port), host)
    chaos(socket, other, next())
  })
}

// Mostly a part of what a session needs; now and then enough for all of it.
const budget = () => random(4) === 0 ? 10_000_000 : 1 + random(6_000)

function randomBlocks () {
  const blocks = []
  for (let count = 1 + random(40); count > 0; count--) {
    const block = Buffer.alloc(random(8) === 0 ? random(3_000) : random(60))
    for (let i = 0; i < block.length; i++) block[i] = random(256)
    blocks.push(block)
  }
  return blocks
}

let opened = 0
let weft, writers, readers, weftAddress

// Connects a Node core to the Weft peer through the proxy until `done`, one time after
// the other.
async function connectUntil (core, done) {
  while (!done()) {
    opened++
    const [host, port] = weftAddress.split(':')
    const socket = net.connect(Number(port), host)
    const stream = join2(core.replicate(true), socket)
    const ended = new Promise(resolve => socket.on('close', resolve))
    const arrived = new Promise(resolve => {
      const look = () => { if (done()) resolve() }
      core.on('download', look)
      core.on('append', look)
      core.on('truncate', look)
      ended.then(() => {
        for (const name of ['download', 'append', 'truncate']) core.off(name, look)
        resolve()
      })
    })
    await within(`the end of a session, seed ${seed}`, arrived)
    stream.destroy()
    socket.destroy()
    await within('the close of a socket', ended)
  }
}

async function nodeReadsFromWeft (number) {
  const { key } = await weft.ask('create', `core-${number}`)
  const blocks = randomBlocks()
  await weft.ask('write', key, ...blocks.map(block => hex(block) || '-'))
  const core = readers.get({ key: Buffer.from(key, 'hex') })
  await core.ready()
  const range = core.download({ start: 0, end: -1 })
  await connectUntil(core, () => core.contiguousLength === blocks.length)
  // It grows, or is cut and grows, while nobody is connected.
  if (random(2) === 0) {
    if (random(2) === 0) {
      blocks.length = random(blocks.length + 1)
      await weft.ask('truncate', key, blocks.length)
    }
    const more = randomBlocks()
    blocks.push(...more)
    const { fork } = await weft.ask('write', key, ...more.map(block => hex(block) || '-'))
    await connectUntil(core, () => core.fork === fork &&
      core.contiguousLength === blocks.length)
  }
  for (let i = 0; i < blocks.length; i++) {
    assert.deepEqual(await core.get(i, { wait: false }), blocks[i])
  }
  assert.equal(hex(await core.treeHash()), (await weft.ask('info', key)).hash)
  range.destroy()
  await core.close()
}

async function weftReadsFromNode (number) {
  const core = writers.get({ name: `core ${number}` })
  await core.ready()
  const key = hex(core.key)
  const blocks = randomBlocks()
  await core.append(blocks)
  await weft.ask('clone', key)
  const { server, address } = await serve(() => core.replicate(false))
  const between = await proxy(address, budget)
  const level = async () => {
    for (;;) {
      const before = weft.events.length
      opened++
      await weft.ask('dial', between.address)
      const event = await weft.eventAfter(before, `an end or a level, seed ${seed}`, e =>
        e.event === 'closed' || (e.event === 'level' && e.key === key &&
          e.length === core.length && e.fork === core.fork && e.held === core.length))
      if (event.event === 'level') return
    }
  }
  await level()
  if (random(2) === 0) {
    if (random(2) === 0) {
      blocks.length = random(blocks.length + 1)
      await core.truncate(blocks.length)
    }
    const more = randomBlocks()
    blocks.push(...more)
    await core.append(more)
    await level()
  }
  const copy = await weft.ask('blocks', key)
  assert.deepEqual(copy.blocks, blocks.map(hex))
  assert.equal(copy.hash, hex(await core.treeHash()))
  await weft.ask('drop', key)
  between.server.close()
  server.close()
  await core.close()
}

const folder = await mkdtemp(join(tmpdir(), 'weft-chaos-'))
try {
  weft = new WeftPeer()
  writers = new Corestore(join(folder, 'writers'))
  readers = new Corestore(join(folder, 'readers'))
  const listening = await weft.ask('listen')
  const front = await proxy(listening.address, budget)
  weftAddress = front.address
  let rounds = 0
  while (opened < sessions) {
    await (random(2) === 0 ? nodeReadsFromWeft(rounds) : weftReadsFromNode(rounds))
    rounds++
    weft.noFaults()
  }
  await weft.end()
  console.log(`${opened} sessions, ${rounds} cores, seed ${seed}: passed`)
} catch (error) {
  console.log(`seed ${seed}: FAILED after ${opened} sessions`)
  throw error
} finally {
  weft.child.kill()
  await rm(folder, { recursive: true, force: true })
}
process.exit(0)
