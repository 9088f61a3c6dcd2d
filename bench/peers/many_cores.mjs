// First sync of many small cores between two Node processes over loopback TCP: the same
// work as BM_Replicate of bench/replicate_bench.cc.
//
//   node many_cores.mjs [CORES...]          default: 320 1500 10000
//
// Prints one JSON object a line: {"peer","cores","blocks","bytes","seconds"}. The clock
// runs from the connection until every block of every core is held.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, readFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Corestore from 'corestore'

const BLOCKS = 10
const BYTES = 100

async function scratch () {
  return mkdtemp(join(tmpdir(), 'weft-bench-'))
}

// The child: fills a store and serves it on one connection after another.
async function serve (count) {
  const directory = await scratch()
  const store = new Corestore(directory)
  const keys = []
  for (let i = 0; i < count; i++) {
    const core = store.get({ name: `core ${i}` })
    await core.ready()
    await core.append(new Array(BLOCKS).fill(Buffer.alloc(BYTES, i & 255)))
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

async function fetchAll (port, keys) {
  const directory = await scratch()
  const store = new Corestore(directory)
  await store.ready()
  const started = performance.now()
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
    while (core.length < BLOCKS) await once(core, 'append')
    await core.download({ start: 0, end: BLOCKS }).done()
  }))
  const seconds = (performance.now() - started) / 1000
  socket.destroy()
  await store.close()
  await rm(directory, { recursive: true, force: true })
  return seconds
}

async function main () {
  const counts = process.argv.slice(2).map(Number)
  const manifest = JSON.parse(
    await readFile(fileURLToPath(new URL('package.json', import.meta.url))))
  const peer = `hypercore ${manifest.dependencies.hypercore}`
  for (const cores of counts.length > 0 ? counts : [320, 1500, 10000]) {
    const child = fork(fileURLToPath(import.meta.url), ['--serve', String(cores)])
    const [{ port, keys }] = await once(child, 'message')
    const seconds = await fetchAll(port, keys)
    console.log(JSON.stringify({ peer, cores, blocks: BLOCKS, bytes: BYTES, seconds }))
    child.disconnect()
    await once(child, 'exit')
  }
}

if (process.argv[2] === '--serve') {
  await serve(Number(process.argv[3]))
} else {
  await main()
}
