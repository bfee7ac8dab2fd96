using System;
using Llia.Core;
using NUnit.Framework;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class VoicePlayerTests
    {
        private const int OutHz = 48000;
        private const int Block = 1024;
        private const int Piece = 640;

        private VoicePlayer m_player;
        private long m_pts;
        private long m_ticks;

        [SetUp]
        public void MakeOne()
        {
            m_player = new VoicePlayer(OutHz, 80);
            m_player.Clock.Ticks = () => m_ticks;
            m_pts = 0;
            m_ticks = 0;
        }

        private static double Tone(double samples16k, double hz)
        {
            return 0.5 * Math.Sin(2 * Math.PI * hz * samples16k / 16000);
        }

        private static byte[] Bytes(float[] samples)
        {
            var bytes = new byte[samples.Length * 4];
            Buffer.BlockCopy(samples, 0, bytes, 0, bytes.Length);
            return bytes;
        }

        /// <summary>The daemon's next piece: 40 ms of a tone, or silence at 0 Hz.</summary>
        private void Echo(double hz)
        {
            var samples = new float[Piece];
            for (var i = 0; i < Piece; i++)
            {
                samples[i] = (float)Tone(m_pts + i, hz);
            }
            m_player.Echo.Write(m_pts, Bytes(samples), Piece);
            m_pts += Piece;
        }

        private float[] Render()
        {
            var data = new float[Block * 2];
            for (var i = 0; i < data.Length; i++)
            {
                data[i] = 1f;
            }
            m_player.Render(data, 2);
            m_ticks += (long)(System.Diagnostics.Stopwatch.Frequency * (double)Block / OutHz);
            return data;
        }

        /// <summary>Plays for so long, pieces coming at their time; returns the left channel.</summary>
        private float[] Run(double seconds, double hz)
        {
            var blocks = (int)(seconds * OutHz / Block);
            var heard = new float[blocks * Block];
            for (var block = 0; block < blocks; block++)
            {
                while (m_pts <= (long)(m_ticks / (double)System.Diagnostics.Stopwatch.Frequency * 16000))
                {
                    Echo(hz);
                }
                var data = Render();
                for (var i = 0; i < Block; i++)
                {
                    heard[block * Block + i] = data[2 * i];
                }
            }
            return heard;
        }

        private static double Level(float[] samples, int from)
        {
            var energy = 0.0;
            for (var i = from; i < samples.Length; i++)
            {
                energy += samples[i] * samples[i];
            }
            return Math.Sqrt(energy / (samples.Length - from));
        }

        [Test]
        public void TheEchoIsHeardWhole()
        {
            var heard = Run(2, 440);
            Assert.AreEqual(0.5 / Math.Sqrt(2), Level(heard, OutHz / 2), 0.005);
            Assert.AreEqual(0, m_player.Underruns);
            Assert.AreEqual(0, m_player.SkippedMs);
            var largestStep = 0f;
            for (var i = OutHz / 2; i < heard.Length; i++)
            {
                largestStep = Math.Max(largestStep, Math.Abs(heard[i] - heard[i - 1]));
            }
            Assert.That(largestStep, Is.LessThan(0.5 * 2 * Math.PI * 440 / OutHz * 1.05), "no click");
        }

        [Test]
        public void TheClockTellsWhatIsHeard()
        {
            double playhead;
            Assert.IsFalse(m_player.Clock.TryGetPlayhead(out playhead));
            m_player.DeviceMs = 64;
            Run(1, 0);
            Assert.IsTrue(m_player.Clock.TryGetPlayhead(out playhead));
            // 80 ms wait when a piece has just come, 40 ms before the next; 64 ms are in the device; the last block was
            // asked for 21 ms ago.
            var behindMs = (m_pts - playhead) / 16.0;
            Assert.That(behindMs, Is.InRange(40 + 64 - 21 - 5, 80 + 64 - 21 + 5));
            double later;
            m_ticks += System.Diagnostics.Stopwatch.Frequency / 100;
            m_player.Clock.TryGetPlayhead(out later);
            Assert.AreEqual(160, later - playhead, 0.01);
        }

        [Test]
        public void TheClockStopsWhenNobodyPlays()
        {
            double playhead;
            Run(1, 0);
            m_ticks += System.Diagnostics.Stopwatch.Frequency;
            Assert.IsFalse(m_player.Clock.TryGetPlayhead(out playhead), "nobody has asked for sound for a second");
        }

        /// <summary>A tone of 11 kHz does not fit into 16 kHz; from its own samples it is heard.</summary>
        [Test]
        public void AnUtteranceOfOurOwnKeepsItsQualityAndItsPlace()
        {
            var own = new float[OutHz / 2];
            for (var i = 0; i < own.Length; i++)
            {
                own[i] = (float)(0.5 * Math.Sin(2 * Math.PI * 11000 * i / OutHz));
            }
            m_player.Add(new OwnVoice("u", own, OutHz, OutHz));
            Run(0.5, 0);
            var start = m_pts + 1600;
            m_player.StartOwn("u", start);
            double playhead;
            m_player.Clock.TryGetPlayhead(out playhead);
            var heard = Run(1.2, 0);
            var first = Array.FindIndex(heard, sample => Math.Abs(sample) > 0.2);
            var expected = (start - playhead) * 3;
            Assert.AreEqual(expected, first, 30, "samples at 48 kHz between what was heard and its beginning");
            var whole = new float[OutHz / 4];
            Array.Copy(heard, first + 2000, whole, 0, whole.Length);
            Assert.AreEqual(0.5 / Math.Sqrt(2), Level(whole, 0), 0.05);
            Assert.AreEqual(0, Level(heard, first + OutHz / 2 + 500), 1e-4, "it ends after its length");
        }

        [Test]
        public void ALatePieceIsWaitedForAndWaitsLongerNextTime()
        {
            Run(1, 440);
            for (var i = 0; i < 12; i++)
            {
                Render(); // 256 ms without a piece
            }
            Assert.AreEqual(1, m_player.Underruns);
            Assert.That(m_player.DelayMs, Is.GreaterThan(95));
            var heard = Run(1, 440);
            Assert.AreEqual(0.5 / Math.Sqrt(2), Level(heard, OutHz / 2), 0.01);
            Assert.AreEqual(1, m_player.Underruns);
        }

        [Test]
        public void ABargeInIsSilentAtOnceAndTheNextSoundPlays()
        {
            Run(1, 440);
            m_player.Flush();
            var silent = Render();
            Assert.AreEqual(0, Level(silent, 480 * 2), 1e-6, "silent after 10 ms at most");
            m_pts += 3200;
            m_ticks = (long)(m_pts / 16000.0 * System.Diagnostics.Stopwatch.Frequency);
            var heard = Run(1, 440);
            Assert.AreEqual(0.5 / Math.Sqrt(2), Level(heard, OutHz / 2), 0.01);
            Assert.AreEqual(0, m_player.Underruns);
        }

        [Test]
        public void AfterAPauseOfTheGameItIsUpToDateAgain()
        {
            Run(1, 440);
            for (var i = 0; i < 50; i++)
            {
                Echo(440); // 2 s in which the game asked for no sound
                m_ticks += System.Diagnostics.Stopwatch.Frequency / 25;
            }
            Run(0.5, 440);
            Assert.That(m_player.SkippedMs, Is.InRange(1800, 2100));
            double playhead;
            m_player.Clock.TryGetPlayhead(out playhead);
            Assert.That((m_pts - playhead) / 16.0, Is.LessThan(160));
        }

        /// <summary>The sound card runs 1000 ppm fast: over two minutes that is 120 ms, more than what waits.</summary>
        [Test]
        public void ClocksThatDriftAreFollowed()
        {
            var blocks = 120 * OutHz / Block;
            for (var block = 0; block < blocks; block++)
            {
                var nowS = block * (double)Block / OutHz * (1 - 1000e-6);
                while (m_pts <= (long)(nowS * 16000))
                {
                    Echo(0);
                }
                Render();
            }
            Assert.That(m_player.Underruns, Is.LessThanOrEqualTo(1));
            Assert.AreEqual(0, m_player.SkippedMs);
        }

        [Test]
        public void TheSourcesGainIsKept()
        {
            Run(0.5, 440);
            Echo(440);
            var data = new float[Block * 2];
            for (var i = 0; i < Block; i++)
            {
                data[2 * i] = 0.5f; // left: half as loud; right: muted
            }
            m_player.Render(data, 2);
            Assert.That(Level(data, 0), Is.GreaterThan(0.05));
            for (var i = 0; i < Block; i++)
            {
                Assert.AreEqual(0f, data[2 * i + 1]);
            }
        }

        [Test]
        public void AGapInTheEchoIsSilence()
        {
            Echo(440);
            m_pts += 320;
            Echo(440);
            var sinc = new Sinc(16000, 16000);
            Assert.AreEqual(0, m_player.Echo.At(Piece + 160, sinc), 1e-6);
            Assert.AreEqual(Tone(Piece + 320 + 100, 440), m_player.Echo.At(Piece + 320 + 100, sinc), 1e-3);
        }

        [Test]
        public void AClockThatBeganAnewIsFollowed()
        {
            m_pts = 100 * 16000;
            Run(0.2, 440);
            var generation = m_player.Echo.Generation;
            m_pts = 0;
            Echo(440);
            Assert.AreNotEqual(generation, m_player.Echo.Generation);
            Assert.AreEqual(Piece, m_player.Echo.End);
        }
    }
}
