// Who signed, and who may read: manifests of every version, several signers, cores that
// nobody signs, and encrypted blocks.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import crypto from 'hypercore-crypto'
import { block, fill, hex, main, newCore, nodeReader, packageName, release, until,
  weftReader, within } from './peers.mjs'

const require = createRequire(import.meta.url)
const caps = require(`${packageName}/lib/caps.js`)
const multisig = require(`${packageName}/lib/multisig.js`)

// A Node core, cloned by Weft while the Node peer is there, and then read by another
// Node core from Weft alone.
async function throughWeft ({ weft, folder, closing }, writer) {
  const length = writer.length
  const last = []
  const key = await weftReader(weft, writer, last)
  const level = await weft.level(key, length, writer.fork)
  assert.equal(level.held, length)
  assert.equal(level.hash, hex(await writer.treeHash()))
  const blocks = []
  for (let i = 0; i < length; i++) blocks.push(hex(await writer.get(i)))
  assert.deepEqual((await weft.ask('blocks', key)).blocks, blocks)
  for (const close of last.reverse()) await close()
  const { reader } = await nodeReader(weft, folder, closing, key)
  for (let i = 0; i < length; i++) {
    assert.equal(hex(await within(`block ${i}`, reader.get(i))), blocks[i])
  }
  return { key, reader }
}

const keyPairs = [1, 2, 3].map(i => crypto.keyPair(Buffer.alloc(32, i)))
const signers = keyPairs.map(pair => ({ publicKey: pair.publicKey }))

// The signature of one signer over the first `length` blocks of `scratch`, for `core`.
async function sign (core, scratch, signer, length) {
  const hash = await scratch.treeHash(length)
  const signable = caps.treeSignable(core.key, hash, length, 0)
  return crypto.sign(signable, keyPairs[signer].secretKey)
}

const stories = {
  async aCoreOfTwoOutOfThreeSignersPassesThroughWeft (peers) {
    const { weft, folder } = peers
    const core = await newCore(folder, { quorum: 2, signers })
    const scratch = await newCore(folder)
    await fill(scratch, 12)
    for (const length of [5, 12]) {
      const inputs = []
      for (const signer of [2, 0]) {
        const signature = await sign(core, scratch, signer, length)
        inputs.push({ signer, signature, patch: 0, nodes: null })
      }
      const blocks = []
      for (let i = core.length; i < length; i++) blocks.push(block(i))
      await core.append(blocks, { signature: multisig.assemble(inputs) })
    }
    await scratch.close()
    await throughWeft(peers, core)
    weft.noFaults()
  },

  async aSignerWhoSawMoreBlocksSignsWithAPatch (peers) {
    const { folder } = peers
    const core = await newCore(folder, { quorum: 2, allowPatch: true, signers })
    const scratch = await newCore(folder)
    await fill(scratch, 9)
    // One signed 9 blocks, one signed 6: the log has 6.
    const longer = await multisig.partialSignature(
      scratch.core, 1, 6, 9, await sign(core, scratch, 1, 9))
    const signature = await sign(core, scratch, 2, 6)
    const inputs = [longer, { signer: 2, signature, patch: 0, nodes: null }]
    const blocks = []
    for (let i = 0; i < 6; i++) blocks.push(block(i))
    await core.append(blocks, { signature: multisig.assemble(inputs) })
    await scratch.close()
    await throughWeft(peers, core)
  },

  async manifestsOfEveryVersionPassThroughWeft (peers) {
    const { folder } = peers
    const manifests = [{ version: 0, signers: [signers[0]] },
      { version: 1, signers: [signers[0]] }]
    if (release !== 'oldest') {
      manifests.push({ version: 2, signers: [signers[0]], userData: Buffer.from('mine') })
      manifests.push({ version: 2, signers: [signers[0]], linked: [Buffer.alloc(32, 9)] })
    }
    if (release === 'newest') {
      manifests.push({ version: 3, signers: [signers[0]], userData: Buffer.from('3') })
    }
    for (const manifest of manifests) {
      const core = await newCore(folder, { ...manifest, quorum: 1 },
        { keyPair: keyPairs[0] })
      await fill(core, 7)
      await throughWeft(peers, core)
    }
  },

  async aCoreThatNobodySignsPassesThroughWeft (peers) {
    const { folder } = peers
    const scratch = await newCore(folder)
    await fill(scratch, 5)
    const prologue = { hash: await scratch.treeHash(), length: 5 }
    const core = await newCore(folder, { quorum: 0, signers: [], prologue })
    const blocks = []
    for (let i = 0; i < 5; i++) blocks.push(block(i))
    await core.append(blocks, { signature: Buffer.alloc(64), writable: true })
    await scratch.close()
    await throughWeft(peers, core)
  },

  async weftReadsWhatNodeEncryptedAndPassesItOn (peers) {
    const { weft, folder, closing } = peers
    const encryptionKey = Buffer.alloc(32, 7)
    for (const compat of [false, true]) {
      const writer = await newCore(folder, null, { encryptionKey, compat })
      await fill(writer, 30)
      await writer.truncate(20)
      await fill(writer, 5)
      const last = []
      const key = await weftReader(weft, writer, last)
      await weft.level(key, 25, 1)
      for (const i of [0, 19, 20, 24]) {
        const { block: text, fork } = await weft.ask('decrypt', key, i, hex(encryptionKey))
        assert.equal(text, `block ${i}`)
        assert.equal(fork, i < 20 ? 0 : 1)
      }
      assert.deepEqual(await weft.ask('where', key, 12, 8), { index: 1, offset: 5 })
      for (const close of last.reverse()) await close()
      const { reader } = await nodeReader(weft, folder, closing, key, { encryptionKey, compat })
      for (let i = 0; i < 25; i++) {
        assert.deepEqual(await within(`block ${i}`, reader.get(i)), block(i))
      }
      const [index, offset] = await within('a seek', reader.seek(12))
      assert.deepEqual([index, offset], [1, 5])
      await until(reader, 'all of it', () => reader.contiguousLength === 25)
    }
  }
}

await main(stories)
