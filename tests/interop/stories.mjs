// The core protocol, in both roles. Each story is one line of CTest: node stories.mjs
// NAME; they run with the oldest release of hypercore 11, with one between and with the
// newest. The assertion is made of what both sides hold in the end; every wait is for
// an event.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { block, fill, hex, main, newCore, nodeReader, release, until, weftReader, within } from
  './peers.mjs'

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

// The oldest release has to be told that a core is of the compat kind.
const compatReader = release === 'oldest' ? { compat: true } : {}

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
    const { reader } = await nodeReader(weft, folder, closing, key, compatReader)
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

  async weftFindsTheBlockOfAByteOfANodeCore ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 3000)
    const key = hex(writer.key)
    await weft.ask('seek', key, 20_000)
    await weft.dial(() => writer.replicate(false), closing)
    const level = await weft.level(key, 3000)
    const [index, offset] = await writer.seek(20_000)
    assert.deepEqual(await weft.ask('where', key, 20_000), { index, offset })
    await expectWeftBlocks(weft, key, index, index + 1)
    assert.ok(level.held <= 2)
    closing.push(() => writer.close())
  },

  async nodeFollowsAWeftCoreTruncatedToNothingAndBack ({ weft, folder, closing }) {
    const { key } = await weft.ask('create', 'notes')
    await weft.ask('fill', key, 20)
    const { reader } = await nodeReader(weft, folder, closing, key)
    await expectBlocks(reader, 0, 20)
    await weft.ask('truncate', key, 0)
    await weft.ask('fill', key, 9)
    await until(reader, 'fork 1', () => reader.fork === 1 && reader.length === 9)
    await weft.ask('truncate', key, 7)
    await weft.ask('append', key, 'other')
    await until(reader, 'fork 2', () => reader.fork === 2 && reader.length === 8)
    await expectBlocks(reader, 0, 7)
    assert.deepEqual(await within('block 7', reader.get(7)), Buffer.from('other'))
  },

  async weftFollowsANodeCoreTruncatedToNothingAndBack ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 20)
    const key = await weftReader(weft, writer, closing)
    await weft.level(key, 20)
    await writer.truncate(0)
    await fill(writer, 9)
    await weft.level(key, 9, 1)
    await writer.truncate(7)
    await writer.append(Buffer.from('other'))
    const level = await weft.level(key, 8, 2)
    assert.equal(level.hash, hex(await writer.treeHash()))
    await expectWeftBlocks(weft, key, 0, 7)
    assert.equal((await weft.ask('get', key, 7)).block, 'other')
  },

  // An old writer takes us to hold what we held before, and tells us nothing of it.
  async weftFollowsEveryForkOfANodeCore ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 40)
    const key = await weftReader(weft, writer, closing)
    await weft.level(key, 40)
    const words = ['other', 'words', 'again']
    for (const [length, appended] of [[20, 2], [0, 3]]) {
      await writer.truncate(length)
      await writer.append(words.slice(0, appended).map(word => Buffer.from(word)))
      await weft.event('all blocks', e => e.event === 'level' && e.fork === writer.fork &&
        e.length === writer.length && e.held === writer.length)
    }
    assert.equal((await weft.ask('get', key, 2)).block, 'again')
  },

  async aReaderThatWasAwayFollowsATruncation ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 50)
    const key = hex(writer.key)
    await weft.ask('clone', key)
    const streams = []
    await weft.dial(() => { streams.push(writer.replicate(false)); return streams.at(-1) },
      closing)
    await weft.level(key, 50)
    streams[0].destroy()
    await weft.event('the end', e => e.event === 'closed')
    await writer.truncate(30)
    await fill(writer, 40)
    await weft.dial(() => writer.replicate(false), closing)
    const level = await weft.level(key, 70, 1)
    assert.equal(level.hash, hex(await writer.treeHash()))
    await expectWeftBlocks(weft, key, 0, 70)
    closing.push(() => writer.close())
  },

  async clearedBlocksComeBackFromAPeerAndTheirProofsStillHold ({ weft, folder, closing }) {
    const writer = await newCore(folder)
    await fill(writer, 64)
    const key = await weftReader(weft, writer, closing)
    await weft.level(key, 64)
    await weft.ask('clear', key, 8, 24)
    await weft.event('all of them again', e => e.event === 'level' && e.held === 64)
    // A Node reader of the copy gets every proof from it.
    const { reader } = await nodeReader(weft, folder, closing, key)
    await expectBlocks(reader, 0, 64)
  }
}

await main(stories)
