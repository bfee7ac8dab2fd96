using System;
using System.Threading;
using Llia.Core;
using NUnit.Framework;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class AudioPartsTests
    {
        [Test]
        public void ARingGivesWhatWasWrittenFromAnotherThread()
        {
            var ring = new SampleRing(2000);
            const int pieces = 500;
            var writer = new Thread(() =>
            {
                var piece = new float[2 * 137];
                for (var i = 0; i < pieces; i++)
                {
                    for (var k = 0; k < 137; k++)
                    {
                        piece[2 * k] = piece[2 * k + 1] = i * 137 + k;
                    }
                    while (ring.Count > 1000)
                    {
                        Thread.Sleep(0);
                    }
                    ring.WriteMono(piece, 2);
                }
            });
            writer.Start();
            var target = new float[100];
            var next = 0;
            while (next < pieces * 137)
            {
                var count = ring.Read(target, target.Length);
                for (var i = 0; i < count; i++)
                {
                    Assert.AreEqual(next++, target[i]);
                }
            }
            writer.Join();
            Assert.AreEqual(0, ring.Lost);
        }

        [Test]
        public void AFullRingCountsWhatItLoses()
        {
            var ring = new SampleRing(1024);
            ring.WriteMono(new float[1000], 1);
            ring.WriteMono(new float[1000], 1);
            Assert.AreEqual(1024, ring.Count);
            Assert.AreEqual(976, ring.Lost);
        }

        [Test]
        public void AGateKeepsWhatCameBeforeTheVoiceAndClosesAfterAPause()
        {
            var gate = new VoiceGate(16000, 0.01f, 300);
            var piece = new float[320];
            var kept = new float[16000];
            bool opened, closed;
            for (var i = 0; i < 20; i++)
            {
                for (var k = 0; k < piece.Length; k++)
                {
                    piece[k] = (i * 320 + k) * 1e-7f; // quiet, and each sample is another
                }
                Assert.IsFalse(gate.Hear(piece, 320, out opened, out closed));
            }
            for (var k = 0; k < piece.Length; k++)
            {
                piece[k] = 0.1f;
            }
            Assert.IsTrue(gate.Hear(piece, 320, out opened, out closed));
            Assert.IsTrue(opened);
            var count = gate.TakeKept(kept);
            Assert.AreEqual(3200, count, "200 ms");
            Assert.AreEqual((20 * 320 - 1) * 1e-7f, kept[count - 1], 1e-9, "up to the voice");
            Array.Clear(piece, 0, piece.Length);
            var talks = 0;
            do
            {
                gate.Hear(piece, 320, out opened, out closed);
                talks++;
            }
            while (!closed);
            Assert.AreEqual(16, talks, "300 ms in pieces of 20");
            Assert.IsFalse(gate.IsOpen);
        }

        [TestCase(16000, 48000, 3000.0)]
        [TestCase(24000, 48000, 9000.0)]
        [TestCase(44100, 48000, 15000.0)]
        public void InterpolationIsExactToAThousandth(int fromHz, int toHz, double toneHz)
        {
            var samples = new float[fromHz / 10];
            for (var i = 0; i < samples.Length; i++)
            {
                samples[i] = (float)Math.Sin(2 * Math.PI * toneHz * i / fromHz);
            }
            var voice = new OwnVoice("u", samples, fromHz, toHz);
            voice.StartAt(0);
            var worst = 0.0;
            for (var at = 200.0; at < 1200; at += 0.317)
            {
                var wanted = Math.Sin(2 * Math.PI * toneHz * at / 16000);
                worst = Math.Max(worst, Math.Abs(voice.At(at) - wanted));
            }
            Assert.That(worst, Is.LessThan(0.02));
        }

        [Test]
        public void ChannelsAreAveraged()
        {
            var mono = new float[2];
            Downmix.Average(new[] { 1f, 0f, 0.5f, -0.5f, 9f }, 4, 2, mono);
            Assert.AreEqual(new[] { 0.5f, 0f }, mono);
        }

        [Test]
        public void BackoffDoublesWithJitterUpToItsBound()
        {
            var backoff = new Backoff(100, 1000, 1);
            var least = new[] { 50, 100, 200, 400, 500, 500 };
            foreach (var bound in least)
            {
                Assert.That(backoff.NextMs(), Is.InRange(bound, 2 * bound));
            }
            backoff.Reset();
            Assert.That(backoff.NextMs(), Is.LessThanOrEqualTo(100));
        }
    }
}
