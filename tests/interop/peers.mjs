// What every script here uses: a Weft peer as a child process, Node peers on sockets,
// and waiting for things to become true, with a deadline and without sleeping.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

// The release of hypercore 11 that the stories run with.
const packages = {
  oldest: 'hypercore-oldest', between: 'hypercore-between', newest: 'hypercore'
}
export const release = process.env.WEFT_HYPERCORE ?? 'newest'
export const packageName = packages[release]
const Hypercore = (await import(packageName)).default
export { Hypercore }

const DEADLINE = Number(process.env.WEFT_DEADLINE ?? 60) * 1000

export class WeftPeer {
  constructor () {
    this.child = spawn(process.env.WEFT_INTEROP_PEER, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.answers = []
    this.events = []
    this.waiting = new Set()
    this.ended = once(this.child, 'exit')
    createInterface({ input: this.child.stdout }).on('line', line => {
      const object = JSON.parse(line)
      if (object.event) {
        this.events.push(object)
        for (const check of [...this.waiting]) check(object)
      } else {
        this.answers.shift()(object)
      }
    })
  }

  ask (...words) {
    const answer = new Promise(resolve => this.answers.push(resolve))
    this.child.stdin.write(words.join(' ') + '\n')
    return within(`an answer to ${words[0]}`, answer.then(object => {
      if (object.error) throw new Error(`${words.join(' ')}: ${object.error}`)
      return object
    }))
  }

  // The first event, past or to come, that `match` accepts.
  event (what, match) {
    return this.eventAfter(0, what, match)
  }

  // The same of the events that are not among the first `count`.
  eventAfter (count, what, match) {
    const past = this.events.find((object, place) => place >= count && match(object))
    if (past) return past
    return within(what, new Promise(resolve => {
      const check = object => {
        if (!match(object)) return
        this.waiting.delete(check)
        resolve(object)
      }
      this.waiting.add(check)
    }))
  }

  level (key, length, fork = 0) {
    return this.event(`level at ${length}`, e =>
      e.event === 'level' && e.key === key && e.length === length && e.fork === fork)
  }

  noFaults () {
    const bad = this.events.find(e => e.event === 'fault')
    if (bad) throw new Error(`fault: ${JSON.stringify(bad)}`)
  }

  async connect () {
    const { address } = await this.ask('listen')
    const [host, port] = address.split(':')
    const socket = net.connect(Number(port), host)
    await within('a connection', once(socket, 'connect'))
    return socket
  }

  async dial (replicate, closing) {
    const { server, address } = await serve(replicate)
    closing.push(() => server.close())
    await this.ask('dial', address)
  }

  async end () {
    this.child.stdin.end()
    await within('the end of the Weft peer', this.ended)
  }
}

export async function within (what, promise) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), DEADLINE)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

// Waits until `check` holds, looking again at each of the core's events.
export async function until (core, what, check) {
  if (check()) return
  const names = ['append', 'truncate', 'download', 'peer-add', 'remote-contiguous-length']
  let again
  try {
    await within(what, new Promise(resolve => {
      again = () => { if (check()) resolve() }
      for (const name of names) core.on(name, again)
    }))
  } finally {
    for (const name of names) core.off(name, again)
  }
}

// Joins a Node stream and a socket; errors end both, which the test then notices.
export function join2 (stream, socket) {
  stream.pipe(socket).pipe(stream)
  stream.on('error', () => socket.destroy())
  socket.on('error', () => stream.destroy())
  return stream
}

// Lets a Node peer be dialled: `replicate` makes the stream of each connection, unless
// `accept` takes the socket.
export async function serve (replicate, accept = socket => join2(replicate(), socket)) {
  const server = net.createServer(accept)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, address: `127.0.0.1:${server.address().port}` }
}

export const hex = buffer => buffer.toString('hex')

export const block = index => Buffer.from(`block ${index}`)

export async function fill (core, count) {
  const blocks = []
  for (let i = 0; i < count; i++) blocks.push(block(core.length + i))
  await core.append(blocks)
}

// `which`: the key of a core, or the manifest of a new one.
export async function newCore (folder, which, options = {}) {
  const path = join(folder, Math.random().toString(36).slice(2))
  const core = which?.signers
    ? new Hypercore(path, { ...options, manifest: which })
    : new Hypercore(path, which, options)
  await core.ready()
  return core
}

// A Node peer that dials the Weft peer and follows one of its cores.
export async function nodeReader (weft, folder, closing, key, options = {}) {
  const reader = await newCore(folder, Buffer.from(key, 'hex'), options)
  const stream = join2(reader.replicate(true), await weft.connect())
  closing.push(() => { stream.destroy(); return reader.close() })
  return { reader, stream }
}

// A Node core that a Weft peer dials and clones as it is told.
export async function weftReader (weft, writer, closing, ...ranges) {
  const key = hex(writer.key)
  await weft.ask('clone', key, ...ranges)
  const { server, address } = await serve(() => writer.replicate(false))
  closing.push(() => { server.close(); return writer.close() })
  await weft.ask('dial', address)
  return key
}

// Random numbers that a seed repeats: splitmix64, of which 32 bits are given.
export function generator (seed) {
  let state = BigInt(seed)
  const mask = (1n << 64n) - 1n
  return below => {
    state = (state + 0x9e3779b97f4a7c15n) & mask
    let z = state
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask
    return Number((z ^ (z >> 31n)) >> 32n) % below
  }
}

// Runs one story with a folder and a Weft peer, and cleans up after it.
export async function story (name, body) {
  const folder = await mkdtemp(join(tmpdir(), 'weft-interop-'))
  const weft = new WeftPeer()
  const closing = []
  try {
    await body({ weft, folder, closing })
    weft.noFaults()
    await weft.end()
    for (const close of closing.reverse()) await close()
    console.log(`${name}: passed`)
  } catch (error) {
    console.log(`${name}: FAILED`)
    throw error
  } finally {
    weft.child.kill()
    await rm(folder, { recursive: true, force: true })
  }
}

// What the command line asks for: one story, `all` of them, or their names.
export async function main (stories) {
  const name = process.argv[2]
  if (name === 'all') {
    for (const one of Object.keys(stories)) await story(one, stories[one])
  } else if (stories[name]) {
    await story(name, stories[name])
  } else {
    console.log(Object.keys(stories).join('\n'))
    process.exit(2)
  }
  process.exit(0)
}
