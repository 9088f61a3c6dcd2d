// Stores and what is built on cores: corestore, and a bee and a drive that Node wrote,
// mirrored by Weft alone and read again, by another process, from Weft alone.

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Corestore from 'corestore'
import Hyperbee from 'hyperbee'
import Hyperdrive from 'hyperdrive'
import { block, fill, hex, join2, main, within } from './peers.mjs'

async function expectBlocks (core, from, to) {
  for (let i = from; i < to; i++) {
    assert.deepEqual(await within(`block ${i}`, core.get(i)), block(i))
  }
}

async function expectWeftBlocks (weft, key, from, to) {
  for (let i = from; i < to; i++) {
    assert.equal((await weft.ask('get', key, i)).block, `block ${i}`)
  }
}

async function newStore (folder, closing) {
  const store = new Corestore(join(folder, Math.random().toString(36).slice(2)))
  await store.ready()
  closing.push(() => store.close())
  return store
}

// Weft takes the cores from the store, and the store is closed for good.
async function mirror (weft, store, cores) {
  const closing = []
  for (const core of cores) await weft.ask('clone', hex(core.key))
  await weft.dial(() => {
    const stream = store.replicate(false)
    closing.push(() => stream.destroy())
    return stream
  }, closing)
  for (const core of cores) {
    const level = await weft.level(hex(core.key), core.length)
    assert.equal(level.held, core.length)
  }
  for (const close of closing) close()
  await store.close()
  await weft.event('the end of the store', e => e.event === 'closed')
}

// What another process reads from the Weft peer, as `reader.mjs` tells it.
async function readElsewhere (weft, folder, kind, key) {
  const { address } = await weft.ask('listen')
  const child = fork(fileURLToPath(new URL('reader.mjs', import.meta.url)),
    [kind, key, address, join(folder, 'elsewhere')])
  const [told] = await within('the other process', once(child, 'message'))
  await within('its end', once(child, 'exit'))
  return told
}

const stories = {
  async aNodeCorestoreTakesEveryWeftCoreItOpens ({ weft, folder, closing }) {
    const store = await newStore(folder, closing)
    const keys = []
    for (let i = 0; i < 20; i++) {
      const { key } = await weft.ask('create', `core-${i}`)
      await weft.ask('fill', key, 10 + i)
      keys.push(key)
    }
    const stream = join2(store.replicate(true), await weft.connect())
    closing.push(() => stream.destroy())
    for (let i = 0; i < 20; i++) {
      const core = store.get({ key: Buffer.from(keys[i], 'hex') })
      await core.ready()
      await expectBlocks(core, 0, 10 + i)
    }
  },

  async weftTakesTheCoresOfANodeCorestore ({ weft, folder, closing }) {
    const store = await newStore(folder, closing)
    const keys = []
    for (let i = 0; i < 20; i++) {
      const core = store.get({ name: `core ${i}` })
      await core.ready()
      await fill(core, 10 + i)
      keys.push(hex(core.key))
      // Some are closed again: the store finds them when they are asked for.
      if (i % 2 === 0) await core.close()
    }
    for (const key of keys) await weft.ask('clone', key)
    await weft.dial(() => store.replicate(false), closing)
    for (let i = 0; i < 20; i++) {
      await weft.level(keys[i], 10 + i)
      await expectWeftBlocks(weft, keys[i], 0, 10 + i)
    }
  },

  async aCoreThatNodeDoesNotKnowIsRefusedAndTheRestFlows ({ weft, folder, closing }) {
    const store = await newStore(folder, closing)
    const core = store.get({ name: 'known' })
    await core.ready()
    await fill(core, 10)
    await weft.ask('clone', '11'.repeat(32))
    await weft.ask('clone', hex(core.key))
    await weft.dial(() => store.replicate(false), closing)
    await weft.level(hex(core.key), 10)
  },

  async aBeeThatNodeWroteIsReadByAnotherNodeFromWeftAlone ({ weft, folder, closing }) {
    const store = await newStore(folder, closing)
    const core = store.get({ name: 'bee' })
    const bee = new Hyperbee(core, { keyEncoding: 'utf-8', valueEncoding: 'json' })
    await bee.ready()
    const expected = []
    const batch = bee.batch()
    for (let i = 0; i < 300; i++) {
      const key = `key ${String((i * 7919) % 1000).padStart(4, '0')}`
      await batch.put(key, { i, text: 'x'.repeat(i % 50) })
    }
    await batch.flush()
    for (let i = 0; i < 20; i++) await bee.del(`key ${String(i * 41).padStart(4, '0')}`)
    for await (const { key, value } of bee.createReadStream()) expected.push([key, value])
    assert.ok(expected.length > 250)
    await mirror(weft, store, [core])
    assert.deepEqual(await readElsewhere(weft, folder, 'bee', hex(core.key)), expected)
  },

  async aDriveThatNodeWroteIsReadByAnotherNodeFromWeftAlone ({ weft, folder, closing }) {
    const store = await newStore(folder, closing)
    const drive = new Hyperdrive(store)
    await drive.ready()
    const expected = []
    for (const [name, size] of [['/a.txt', 5], ['/deep/er/b.bin', 200_000], ['/empty', 0],
      ['/zz', 70_000]]) {
      const bytes = Buffer.alloc(size)
      for (let i = 0; i < size; i++) bytes[i] = (i * 31 + size) & 255
      await drive.put(name, bytes)
      expected.push([name, hex(bytes)])
    }
    await drive.put('/gone', Buffer.from('gone'))
    await drive.del('/gone')
    const blobs = await drive.getBlobs()
    await mirror(weft, store, [drive.core, blobs.core])
    const told = await readElsewhere(weft, folder, 'drive', hex(drive.key))
    assert.deepEqual(told, expected)
  }
}

await main(stories)
