// Each story is one line of CTest: node stories.mjs NAME. The assertion is made of
// what both sides hold in the end; every wait is for an event.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import c from 'compact-encoding'
import Corestore from 'corestore'
import Hypercore from 'hypercore'
import { block, fill, join2, newCore, serve, story, until, within } from './peers.mjs'

const hex = buffer => buffer.toString('hex')

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

// A Node peer that dials the Weft peer and follows one of its cores.
async function nodeReader (weft, folder, closing, key) {
  const reader = await newCore(folder, Buffer.from(key, 'hex'))
  const stream = join2(reader.replicate(true), await weft.connect())
  closing.push(() => { stream.destroy(); return reader.close() })
  return { reader, stream }
}

// A Node core that a Weft peer dials and clones as it is told.
async function weftReader (weft, writer, closing, ...ranges) {
  const key = hex(writer.key)
  await weft.ask('clone', key, ...ranges)
  const { server, address } = await serve(() => writer.replicate(false))
  closing.push(() => { server.close(); return writer.close() })
  await weft.ask('dial', address)
  return key
}

const stories = {
  async nodeClonesAWeftCoreAndTailsIt ({ weft, folder, closing }) {
    const { key } = await weft.ask('create', 'notes')
    await weft.ask('fill', key, 1000)
    const { reader } = await nodeReader(weft, folder, closing, key)
    await within('an update', reader.update({ wait: true }))
    assert.equal(reader.length, 1000)
    await within('all blocks', reader.download({ start: 0, end: 1000 }).done())
    await expectBlocks(reader, 0, 1000)
    for (const more of [1, 1, 50]) {
      const { length } = await weft.ask('fill', key, more)
      await until(reader, `length ${length}`, () => reader.length === length)
      await expectBlocks(reader, length - more, length)
    }
    const info = await weft.ask('info', key)
    assert.equal(hex(await reader.treeHash()), info.hash)
  },

  async nodeReadsAFewBlocksOfAWeftCore ({ weft, folder, closing }) {
    const { key } = await weft.ask('create', 'notes')
    await weft.ask('fill', key, 5000)
    const { reader } = await nodeReader(weft, folder, closing, key)
    assert.deepEqual(await within('block 4321', reader.get(4321)), block(4321))
    assert.deepEqual(await within('block 7', reader.get(7)), block(7))
    assert.equal(reader.length, 5000)
    assert.equal(reader.contiguousLength, 0)
    const [index, offset] = await within('a seek', reader.seek(20))
    assert.deepEqual([index, offset], [2, 6])
  },

  async nodeTailsAWeftCoreFromItsFirstBlock ({ weft, folder, closing }) {
    const { key } = await weft.ask('create', 'notes')
    const { reader } = await nodeReader(weft, folder, closing, key)
    const first = reader.get(0)
    await weft.ask('fill', key, 1)
    assert.deepEqual(await within('block 0', first), block(0))
  },

  async nodeClonesAWeftCoreOfTheCompatKind ({ weft, folder, closing }) {
    const { key } = await weft.ask('compat', 'notes')
    await weft.ask('fill', key, 10)
    const { reader } = await nodeReader(weft, folder, closing, key)
    await expectBlocks(reader, 0, 10)
  },

  async nodeFollowsAWeftCoreThatIsTruncated ({ weft, folder, closing }) {
    const { key } = await weft.ask('create', 'notes')
    await weft.ask('fill', key, 20)
    const { reader } = await nodeReader(weft, folder, closing, key)
    await expectBlocks(reader, 0, 20)
    await weft.ask('truncate', key, 12)
    await weft.ask('append', key, 'other', 'words')
    await until(reader, 'the fork', () => reader.fork === 1 && reader.length === 14)
    assert.deepEqual(await within('block 12', reader.get(12)), Buffer.from('other'))
    await expectBlocks(reader, 0, 12)
  },

  async nodeDoesNotWaitForBlocksThatWeftHasCleared ({ weft, folder, closing }) {
    const { key } = await weft.ask('create', 'notes')
    await weft.ask('fill', key, 100)
    await weft.ask('clear', key, 10, 20)
    const { reader } = await nodeReader(weft, folder, closing, key)
    await expectBlocks(reader, 0, 10)
    await expectBlocks(reader, 20, 100)
    await weft.ask('fill', key, 1)
    await expectBlocks(reader, 100, 101)
    assert.equal(await reader.has(15), false)
  },

  async weftClonesANodeCoreAndTailsIt ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 1000)
    const key = await weftReader(weft, writer, closing)
    const level = await weft.level(key, 1000)
    assert.equal(level.held, 1000)
    assert.equal(level.hash, hex(await writer.treeHash()))
    await expectWeftBlocks(weft, key, 0, 1000)
    for (const more of [1, 1, 50]) {
      await fill(writer, more)
      await weft.level(key, writer.length)
      await expectWeftBlocks(weft, key, writer.length - more, writer.length)
    }
  },

  async weftReadsAFewBlocksOfANodeCore ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 3000)
    const key = await weftReader(weft, writer, closing, 1234, 1240)
    const level = await weft.level(key, 3000)
    assert.equal(level.held, 6)
    await expectWeftBlocks(weft, key, 1234, 1240)
    assert.equal((await weft.ask('get', key, 0)).block, null)
  },

  async weftTailsANodeCoreFromItsFirstBlock ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    const key = await weftReader(weft, writer, closing)
    await weft.event('a connection', e => e.event === 'ready')
    await fill(writer, 1)
    await weft.level(key, 1)
    await expectWeftBlocks(weft, key, 0, 1)
  },

  async weftClonesANodeCoreOfTheCompatKind ({ weft, folder, closing }) {
    const writer = await newCore(folder, null, { compat: true })
    await fill(writer, 40)
    const key = await weftReader(weft, writer, closing)
    await weft.level(key, 40)
    await expectWeftBlocks(weft, key, 0, 40)
  },

  async weftFollowsANodeCoreThatIsTruncated ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 20)
    const key = await weftReader(weft, writer, closing)
    await weft.level(key, 20)
    await writer.truncate(12)
    await writer.append([Buffer.from('other'), Buffer.from('words')])
    const level = await weft.level(key, 14, 1)
    assert.equal(level.hash, hex(await writer.treeHash()))
    assert.equal((await weft.ask('get', key, 13)).block, 'words')
    await expectWeftBlocks(weft, key, 0, 12)
  },

  async weftTakesWhatANodePeerHasNotCleared ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 300)
    await writer.clear(10, 20)
    const key = await weftReader(weft, writer, closing)
    const level = await weft.level(key, 300)
    assert.equal(level.held, 290)
    await fill(writer, 5)
    await weft.level(key, 305)
    await expectWeftBlocks(weft, key, 300, 305)
  },

  async weftTakesBlocksOfAnyKind ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await writer.append([Buffer.alloc(0), Buffer.alloc(3_000_000, 'a'), Buffer.alloc(1),
      Buffer.alloc(15 * 1024 * 1024, 'b'), Buffer.from('end')])
    const key = await weftReader(weft, writer, closing)
    const level = await weft.level(key, 5)
    assert.equal(level.held, 5)
    assert.equal(level.hash, hex(await writer.treeHash()))
    assert.equal((await weft.ask('get', key, 4)).block, 'end')
  },

  async extensionsPassBothWays ({ weft, folder, closing }) {
    const { key } = await weft.ask('create', 'notes')
    await weft.ask('fill', key, 3)
    const { reader } = await nodeReader(weft, folder, closing, key)
    let heard
    const hears = new Promise(resolve => { heard = resolve })
    const extension = reader.registerExtension('chat', {
      encoding: 'utf-8', onmessage: (text, peer) => heard({ text, peer })
    })
    await expectBlocks(reader, 0, 3)
    await weft.ask('say', key, 'chat', 'hello')
    const { text, peer } = await within('a word', hears)
    assert.equal(text, 'hello')
    extension.send('and', peer)
    extension.send('back', peer)
    const back = Buffer.from('back').toString('hex')
    await weft.event('both words', e => e.name === 'chat' && e.hex === back)
  },

  async aNodeCorestoreTakesEveryWeftCoreItOpens ({ weft, folder, closing }) {
    const store = new Corestore(join(folder, 'store'))
    await store.ready()
    const keys = []
    for (let i = 0; i < 20; i++) {
      const { key } = await weft.ask('create', `core-${i}`)
      await weft.ask('fill', key, 10 + i)
      keys.push(key)
    }
    const stream = join2(store.replicate(true), await weft.connect())
    closing.push(() => { stream.destroy(); return store.close() })
    for (let i = 0; i < 20; i++) {
      const core = store.get({ key: Buffer.from(keys[i], 'hex') })
      await core.ready()
      await expectBlocks(core, 0, 10 + i)
    }
  },

  async weftTakesTheCoresOfANodeCorestore ({ weft, folder, closing }) {
    const store = new Corestore(join(folder, 'store'))
    await store.ready()
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
    const { server, address } = await serve(() => store.replicate(false))
    closing.push(() => { server.close(); return store.close() })
    await weft.ask('dial', address)
    for (let i = 0; i < 20; i++) {
      await weft.level(keys[i], 10 + i)
      await expectWeftBlocks(weft, keys[i], 0, 10 + i)
    }
  },

  async aWeftPeerPassesANodeCoreOnToAnotherNode ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 200)
    const key = await weftReader(weft, writer, closing)
    await weft.level(key, 200)
    const { reader } = await nodeReader(weft, folder, closing, key)
    await expectBlocks(reader, 0, 200)
    await fill(writer, 3)
    await until(reader, 'length 203', () => reader.length === 203)
    await expectBlocks(reader, 200, 203)
  },

  async aCoreThatNodeDoesNotKnowIsRefusedAndTheRestFlows ({ weft, folder, closing }) {
    const store = new Corestore(join(folder, 'store'))
    await store.ready()
    const core = store.get({ name: 'known' })
    await core.ready()
    await fill(core, 10)
    await weft.ask('clone', '11'.repeat(32))
    await weft.ask('clone', hex(core.key))
    const { server, address } = await serve(() => store.replicate(false))
    closing.push(() => { server.close(); return store.close() })
    await weft.ask('dial', address)
    await weft.level(hex(core.key), 10)
  }
}

const name = process.argv[2]
if (!stories[name]) {
  console.log(Object.keys(stories).join('\n'))
  process.exit(2)
}
await story(name, stories[name])
