// First sync of cores between Node processes over loopback TCP, and beside each figure
// that of this project for the same work in the same run: bench/replicate_bench.cc.
//
//   node many_cores.mjs [--weft PROGRAM] [WORK...]
//
// WORK is CORESxBLOCKSxBYTES or CORESxBLOCKSxBYTES@PEERS; default: all that the program
// measures. Prints one JSON object a line: {"peer","cores","blocks","bytes","peers",
// "seconds"}, with a program {"weft_seconds","times_faster"} too. The clock runs from
// the connection until every block of every core is held by every peer.

import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, readFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Corestore from 'corestore'

const ALL = [
  '1x100000x100', '1x1024x65536', '320x10x100', '1500x10x100', '10000x10x100',
  '320x10x100@10', '320x10x100@50'
]
const APPEND_BLOCKS = 1000

function parse (text) {
  const [cores, blocks, bytes, peers] = text.split(/[x@]/).map(Number)
  return { cores, blocks, bytes, peers: peers || 1 }
}

async function scratch () {
  return mkdtemp(join(tmpdir(), 'weft-bench-'))
}

// The child: fills a store and serves it on one connection after another.
async function serve ({ cores, blocks, bytes }) {
  const directory = await scratch()
  const store = new Corestore(directory)
  const keys = []
  for (let i = 0; i < cores; i++) {
    const core = store.get({ name: `core ${i}` })
    await core.ready()
    for (let at = 0; at < blocks; at += APPEND_BLOCKS) {
      const count = Math.min(APPEND_BLOCKS, blocks - at)
      await core.append(new Array(count).fill(Buffer.alloc(bytes, i & 255)))
    }
    keys.push(core.key.toString('hex'))
  }
  const server = net.createServer((socket) => {
    const stream = store.replicate(false)
    socket.on('error', () => {})
    stream.on('error', () => {})
    socket.pipe(stream).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.send({ port: server.address().port, keys })
  process.on('disconnect', async () => {
    server.close()
    await rm(directory, { recursive: true, force: true })
    process.exit()
  })
}

async function fetchAll (store, port, keys, blocks) {
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const stream = store.replicate(true)
  socket.on('error', () => {})
  stream.on('error', () => {})
  socket.pipe(stream).pipe(socket)
  await Promise.all(keys.map(async (key) => {
    const core = store.get({ key: Buffer.from(key, 'hex') })
    await core.ready()
    await core.update({ wait: true })
    while (core.length < blocks) await once(core, 'append')
    await core.download({ start: 0, end: blocks }).done()
  }))
  return socket
}

// Seconds until all peers have everything; each has a store of its own.
async function measure (work) {
  const child = fork(fileURLToPath(import.meta.url), ['--serve', JSON.stringify(work)])
  const [{ port, keys }] = await once(child, 'message')
  const directories = []
  const stores = []
  for (let i = 0; i < work.peers; i++) {
    directories.push(await scratch())
    stores.push(new Corestore(directories[i]))
    await stores[i].ready()
  }
  const started = performance.now()
  const sockets = await Promise.all(
    stores.map((store) => fetchAll(store, port, keys, work.blocks)))
  const seconds = (performance.now() - started) / 1000
  for (const socket of sockets) socket.destroy()
  for (const store of stores) await store.close()
  for (const directory of directories) {
    await rm(directory, { recursive: true, force: true })
  }
  child.disconnect()
  await once(child, 'exit')
  return seconds
}

// The same work by `program`, which names its rows after the work.
function measureOurs (program, { cores, blocks, bytes, peers }) {
  const row = peers > 1
    ? `BM_Fanout/cores:${cores}/peers:${peers}/`
    : `BM_Replicate/cores:${cores}/blocks:${blocks}/bytes:${bytes}/`
  const output = execFileSync(program, [
    `--benchmark_filter=^${row}`, '--benchmark_format=json'
  ], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return JSON.parse(output).benchmarks[0].real_time / 1000
}

async function main (args) {
  const program = args[0] === '--weft' ? args.splice(0, 2)[1] : null
  const manifest = JSON.parse(
    await readFile(fileURLToPath(new URL('package.json', import.meta.url))))
  const peer = `hypercore ${manifest.dependencies.hypercore}, ` +
    `corestore ${manifest.dependencies.corestore}, node ${process.versions.node}`
  for (const text of args.length > 0 ? args : ALL) {
    const work = parse(text)
    const result = { peer, ...work, seconds: await measure(work) }
    if (program) {
      result.weft_seconds = measureOurs(program, work)
      result.times_faster = Math.round(10 * result.seconds / result.weft_seconds) / 10
    }
    console.log(JSON.stringify(result))
  }
}

if (process.argv[2] === '--serve') {
  await serve(JSON.parse(process.argv[3]))
} else {
  await main(process.argv.slice(2))
}
