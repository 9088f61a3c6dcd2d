// The command line against Node: a few blocks of a core that a stock peer serves.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { fill, hex, join2, main, newCore, serve, until, within } from './peers.mjs'

const run = promisify(execFile)

async function commands (folder, writer, closing) {
  const { server, address } = await serve(() => writer.replicate(false))
  closing.push(() => { server.close(); return writer.close() })
  const store = join(folder, 'store')
  return {
    address,
    store,
    core: async (verb, ...words) => {
      const { stdout } = await run(process.env.WEFT, ['core', verb, ...words])
      return stdout
    }
  }
}

// A command that stays, and its lines of output as they come.
function start (closing, ...words) {
  const child = spawn(process.env.WEFT, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  closing.push(() => { child.kill(); return ended })
  return {
    out: createInterface({ input: child.stdout })[Symbol.asyncIterator](),
    errors: createInterface({ input: child.stderr })[Symbol.asyncIterator]()
  }
}

const stories = {
  async theCommandReadsOneBlockOfANodeCore ({ folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 2000)
    const { core, store, address } = await commands(folder, writer, closing)
    const key = hex(writer.key)
    assert.equal(await core('get', store, key, '1500', '--connect', address), 'block 1500')
    const [index, offset] = await writer.seek(9003)
    const told = await core('get', store, key, '--byte', '9003', '--connect', address,
      '--json')
    assert.deepEqual(JSON.parse(told), { index, offset, block: `block ${index}` })
    const info = JSON.parse(await core('info', store, key, '--json'))
    assert.equal(info.length, 2000)
    assert.ok(info.have <= 3)
    // What was fetched is here without the peer.
    assert.equal(await core('get', store, key, '1500'), 'block 1500')
    await assert.rejects(core('get', store, key, '3'))
    await assert.rejects(core('get', store, key, '2000', '--connect', address))
  },

  async theCommandReadsAndClonesAnEncryptedNodeCore ({ folder, closing }) {
    const encryptionKey = Buffer.alloc(32, 7)
    const writer = await newCore(folder, null, { encryptionKey })
    await fill(writer, 200)
    const { core, store, address } = await commands(folder, writer, closing)
    const key = hex(writer.key)
    const right = ['--encryption-key', hex(encryptionKey)]
    const wrong = ['--encryption-key', hex(Buffer.alloc(32, 8))]
    const at = ['--connect', address]
    assert.equal(await core('get', store, key, '99', ...at, ...right), 'block 99')
    assert.equal(await core('get', store, key, '--byte', '12', ...at, ...right), ' 1')
    await assert.rejects(core('get', store, key, '99', ...wrong))
    await core('clone', key, store, ...at, ...right)
    await assert.rejects(core('clone', key, store, ...at, ...wrong))
    assert.equal(await core('get', store, key, '199', ...right), 'block 199')
  },

  async theCommandReadsANodeCoreByItsBlockKey ({ folder, closing }) {
    const blockKey = Buffer.alloc(32, 7)
    const ways = [{ encryption: { key: blockKey, block: true } },
      { encryptionKey: blockKey, isBlockKey: true }]
    for (const [n, way] of ways.entries()) {
      const writer = await newCore(join(folder, `writer${n}`), null, way)
      await fill(writer, 3)
      // Which of the two ways a release takes; the other leaves the blocks plain.
      if (!writer.encryption) continue
      const place = join(folder, `${n}`)
      await mkdir(place)
      const { core, store, address } = await commands(place, writer, closing)
      const at = ['--connect', address, '--encryption-key', hex(blockKey)]
      assert.equal(await core('get', store, hex(writer.key), '2', ...at), 'block 2')
    }
  },

  async theCommandTalksWithANodePeerOfACore ({ folder, closing }) {
    const store = join(folder, 'store')
    const weft = async (...words) => (await run(process.env.WEFT, words)).stdout
    const { key } = JSON.parse(await weft('core', 'create', store, '--name', 'log', '--json'))
    const server = start(closing, 'core', 'serve', store, '--listen', '127.0.0.1:0', '--json')
    const { listening } = JSON.parse((await within('an address', server.out.next())).value)
    const [host, port] = listening.split(':')

    const reader = await newCore(folder, Buffer.from(key, 'hex'))
    let heard
    const hears = new Promise(resolve => { heard = resolve })
    const chat = reader.registerExtension('chat', {
      encoding: 'utf-8', onmessage: (text, peer) => heard({ text, peer })
    })
    const socket = net.connect(Number(port), host)
    join2(reader.replicate(true), socket)
    closing.push(() => { socket.destroy(); return reader.close() })
    await until(reader, 'a peer', () => reader.peers.length === 1)

    await weft('ext', 'send', store, 'chat', 'hello', '--core', key)
    const { text, peer } = await within('a word', hears)
    assert.equal(text, 'hello')
    const tail = start(closing, 'ext', 'tail', store, '--core', key, '--count', '1', '--json')
    assert.equal((await within('the tail', tail.errors.next())).value, 'listening')
    chat.send('and back', peer)
    const { name, payload } = JSON.parse((await within('an answer', tail.out.next())).value)
    assert.deepEqual([name, payload], ['chat', 'and back'])
  }
}

await main(stories)
