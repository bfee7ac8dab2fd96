using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using Llia.Core;
using NUnit.Framework;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class SpeechQueueTests
    {
        private SpeechQueue m_queue;
        private StandIn m_daemon;
        private long m_number;
        private long m_nowMs;

        [SetUp]
        public void MakeOne()
        {
            m_queue = new SpeechQueue(false, () => { });
            m_daemon = new StandIn();
            m_number = 0;
            m_nowMs = 0;
        }

        private static float[] Ramp(int from, int count)
        {
            var samples = new float[count];
            for (var i = 0; i < count; i++)
            {
                samples[i] = from + i;
            }
            return samples;
        }

        private bool SendOne()
        {
            return m_daemon.Send(m_queue, ++m_number, m_nowMs);
        }

        [Test]
        public void AWholeUtteranceComesInPiecesThatAreAnswered()
        {
            var utterance = m_queue.Open(16000, false, Ramp(0, 20000), null);
            Assert.IsTrue(SendOne());
            Assert.IsFalse(SendOne(), "the first piece is not answered yet");
            Assert.IsTrue(m_queue.Acknowledge(1));
            Assert.IsTrue(SendOne());
            m_queue.Acknowledge(m_number);
            Assert.IsTrue(SendOne());
            m_queue.Acknowledge(m_number);
            Assert.IsFalse(SendOne());
            Assert.AreEqual(Ramp(0, 20000), m_daemon.Heard(utterance.Id));
            Assert.IsTrue(m_daemon.IsEnded(utterance.Id));
            Assert.IsFalse(utterance.Completion.IsCompleted);
            Assert.AreSame(utterance, m_queue.Over(utterance.Id, SpeechEnd.Finished));
            Assert.AreEqual(SpeechEnd.Finished, utterance.Completion.Result);
        }

        [Test]
        public void UtterancesKeepTheirOrder()
        {
            var first = m_queue.Open(16000, false, null, null);
            var second = m_queue.Open(16000, false, Ramp(0, 10), null);
            Assert.IsFalse(SendOne(), "the first one waits for its sound, and the second for the first");
            first.Push(Ramp(0, 5), 0, 5);
            first.End();
            for (var i = 0; i < 2; i++)
            {
                Assert.IsTrue(SendOne());
                m_queue.Acknowledge(m_number);
            }
            Assert.AreEqual(new[] { first.Id, second.Id }, m_daemon.Order.ToArray());
        }

        [Test]
        public void AFullDaemonIsAskedAgainLater()
        {
            var utterance = m_queue.Open(16000, false, Ramp(0, 100), null);
            SendOne();
            m_daemon.Forget();
            Utterance lost;
            Assert.IsTrue(m_queue.Refuse(1, "queue_full", m_nowMs, out lost));
            Assert.IsNull(lost);
            Assert.IsFalse(SendOne(), "not at once");
            m_nowMs = 300;
            Assert.IsTrue(SendOne());
            Assert.AreEqual(Ramp(0, 100), m_daemon.Heard(utterance.Id));
        }

        [TestCase("utterance_cancelled", SpeechEnd.Cancelled)]
        [TestCase("avatar_failed", SpeechEnd.Interrupted)]
        [TestCase("audio", SpeechEnd.Interrupted)]
        public void ARefusedUtteranceIsOverAndTheNextGoesOn(string code, SpeechEnd how)
        {
            var utterance = m_queue.Open(16000, false, Ramp(0, 100), null);
            var next = m_queue.Open(16000, false, Ramp(0, 50), null);
            SendOne();
            Utterance lost;
            m_queue.Refuse(1, code, m_nowMs, out lost);
            Assert.AreSame(utterance, lost);
            Assert.AreEqual(how, utterance.Completion.Result);
            Assert.AreEqual(0, utterance.Push(Ramp(0, 10), 0, 10));
            Assert.IsTrue(SendOne());
            Assert.AreEqual(50, m_daemon.Heard(next.Id).Length);
        }

        [Test]
        public void WhatDoesNotFitIsNotTaken()
        {
            m_queue.SetLimit(1);
            var utterance = m_queue.Open(16000, false, null, null);
            Assert.AreEqual(16000, utterance.Push(Ramp(0, 20000), 0, 20000));
            Assert.AreEqual(0, utterance.Push(Ramp(0, 10), 0, 10));
            Assert.Throws<InvalidOperationException>(() => m_queue.Open(16000, false, Ramp(0, 10), null));
            SendOne();
            m_queue.Acknowledge(m_number);
            Assert.AreEqual(8000, utterance.Push(Ramp(16000, 20000), 0, 20000));
        }

        [Test]
        public void TooManyUtterancesAreTold()
        {
            for (var i = 0; i < SpeechQueue.MostUtterances; i++)
            {
                m_queue.Open(16000, false, Ramp(0, 1), null);
            }
            Assert.Throws<InvalidOperationException>(() => m_queue.Open(16000, false, Ramp(0, 1), null));
        }

        [Test]
        public void ABargeInDropsAllAtOnce()
        {
            var spoken = m_queue.Open(16000, false, Ramp(0, 20000), null);
            var stream = m_queue.Open(16000, false, null, null);
            SendOne();
            m_queue.Cancel();
            Assert.AreEqual(SpeechEnd.Cancelled, spoken.Completion.Result);
            Assert.AreEqual(SpeechEnd.Cancelled, stream.Completion.Result);
            Assert.IsFalse(m_queue.Acknowledge(1), "the answer to what was dropped means nothing any more");
            Assert.AreEqual(0, stream.Push(Ramp(0, 10), 0, 10));
            Assert.IsFalse(SendOne());
            m_queue.Open(16000, false, Ramp(0, 1), null);
            Assert.IsTrue(SendOne());
        }

        [Test]
        public void ALostAvatarKeepsWhatWasNotBegun()
        {
            var begun = m_queue.Open(16000, false, Ramp(0, 8000), null);
            var waiting = m_queue.Open(16000, false, Ramp(0, 100), null);
            var stream = m_queue.Open(16000, false, null, null);
            stream.Push(Ramp(0, 9000), 0, 9000);
            for (var i = 0; i < 3; i++)
            {
                SendOne();
                m_queue.Acknowledge(m_number);
            }
            m_queue.Start(begun.Id);
            m_queue.Interrupt();
            m_daemon.Forget();
            Assert.AreEqual(SpeechEnd.Interrupted, begun.Completion.Result);
            stream.Push(Ramp(9000, 10), 0, 10);
            for (var i = 0; i < 3; i++)
            {
                Assert.IsTrue(SendOne());
                m_queue.Acknowledge(m_number);
            }
            Assert.AreEqual(Ramp(0, 100), m_daemon.Heard(waiting.Id));
            Assert.AreEqual(Ramp(0, 9010), m_daemon.Heard(stream.Id));
        }

        [Test]
        public void AnUtteranceWithoutASampleIsOverWhenItEnds()
        {
            var empty = m_queue.Open(16000, false, null, null);
            empty.End();
            Assert.IsFalse(SendOne());
            Assert.AreEqual(SpeechEnd.Finished, empty.Completion.Result);
        }

        [Test]
        public void APieceThatIsNotAnsweredIsSentAgain()
        {
            var utterance = m_queue.Open(16000, false, Ramp(0, 100), null);
            SendOne();
            m_nowMs = 6000;
            Assert.IsTrue(SendOne());
            Assert.AreEqual(Ramp(0, 100), m_daemon.Heard(utterance.Id));
        }

        [Test]
        public void WrongRatesAndRangesAreTold()
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => m_queue.Open(4000, false, null, null));
            var utterance = m_queue.Open(16000, false, null, null);
            Assert.Throws<ArgumentOutOfRangeException>(() => utterance.Push(new float[5], 3, 3));
            Assert.Throws<ArgumentOutOfRangeException>(() => utterance.Push(null, 0, 1));
        }

        /// <summary>Whatever gets lost or refused on the way, every utterance arrives whole, each sample once.</summary>
        [Test]
        public void NothingIsLostOrDoubledWhateverHappens()
        {
            for (var seed = 0; seed < 30; seed++)
            {
                MakeOne();
                var random = new Random(seed);
                var pushed = new Dictionary<Utterance, int>();
                Utterance open = null;
                for (var step = 0; step < 300; step++)
                {
                    m_nowMs += random.Next(100);
                    switch (random.Next(6))
                    {
                        case 0:
                            if (open == null)
                            {
                                open = m_queue.Open(8000, false, null, null);
                                pushed[open] = 0;
                            }
                            var count = random.Next(3000);
                            pushed[open] += open.Push(Ramp(pushed[open], count), 0, count);
                            break;
                        case 1:
                            if (open != null && random.Next(3) == 0)
                            {
                                open.End();
                                open = null;
                            }
                            break;
                        case 2:
                            m_queue.Reconnect();
                            m_daemon.LoseAnswer();
                            break;
                        case 3:
                            Utterance lost;
                            if (m_daemon.TakeBackUnanswered())
                            {
                                m_queue.Refuse(m_number, "queue_full", m_nowMs, out lost);
                            }
                            break;
                        default:
                            SendOne();
                            if (m_daemon.Answers())
                            {
                                m_queue.Acknowledge(m_number);
                            }
                            break;
                    }
                }
                if (open != null)
                {
                    open.End();
                }
                for (var i = 0; i < 400; i++)
                {
                    m_nowMs += 300;
                    SendOne();
                    m_queue.Acknowledge(m_number);
                }
                foreach (var utterance in pushed)
                {
                    Assert.AreEqual(Ramp(0, utterance.Value), m_daemon.Heard(utterance.Key.Id), "seed " + seed);
                }
            }
        }

        /// <summary>Puts pieces together by their index, as the daemon does.</summary>
        private sealed class StandIn
        {
            public readonly List<string> Order = new List<string>();

            private readonly Dictionary<string, List<float>> m_heard = new Dictionary<string, List<float>>();
            private readonly HashSet<string> m_ended = new HashSet<string>();
            private readonly MsgpackWriter m_writer = new MsgpackWriter();
            private byte[] m_payload = new byte[0];
            private string m_unansweredOf;
            private int m_unanswered;

            public bool Send(SpeechQueue queue, long number, long nowMs)
            {
                int bytes;
                if (!queue.TryNext(number, nowMs, "a", m_writer, ref m_payload, out bytes))
                {
                    return false;
                }
                var sent = new SentAudio();
                var reader = new MsgpackReader();
                reader.Reset(m_writer.Buffer, 0, m_writer.Count);
                sent.Read(reader);
                Assert.AreEqual(number, sent.RequestNumber);
                List<float> heard;
                if (!m_heard.TryGetValue(sent.UtteranceId, out heard))
                {
                    heard = m_heard[sent.UtteranceId] = new List<float>();
                    Order.Add(sent.UtteranceId);
                }
                m_unansweredOf = sent.UtteranceId;
                m_unanswered = 0;
                if (bytes >= 0)
                {
                    Assert.That(sent.SampleIndex, Is.LessThanOrEqualTo(heard.Count), "a gap, which would be filled with silence");
                    for (var i = (int)(heard.Count - sent.SampleIndex); i < bytes / 4; i++)
                    {
                        heard.Add(BitConverter.ToSingle(m_payload, i * 4));
                        m_unanswered++;
                    }
                }
                if (bytes < 0 || sent.Final)
                {
                    m_ended.Add(sent.UtteranceId);
                }
                return true;
            }

            public float[] Heard(string utteranceId)
            {
                return m_heard.ContainsKey(utteranceId) ? m_heard[utteranceId].ToArray() : new float[0];
            }

            public bool IsEnded(string utteranceId)
            {
                return m_ended.Contains(utteranceId);
            }

            public bool Answers()
            {
                m_unansweredOf = null;
                return true;
            }

            /// <summary>It was taken, but its answer does not arrive.</summary>
            public void LoseAnswer()
            {
                m_unansweredOf = null;
            }

            /// <summary>It was refused as a whole: nothing of it was taken.</summary>
            public bool TakeBackUnanswered()
            {
                if (m_unansweredOf == null)
                {
                    return false;
                }
                var heard = m_heard[m_unansweredOf];
                heard.RemoveRange(heard.Count - m_unanswered, m_unanswered);
                m_ended.Remove(m_unansweredOf);
                m_unansweredOf = null;
                return true;
            }

            public void Forget()
            {
                m_heard.Clear();
                Order.Clear();
            }
        }

        private sealed class SentAudio
        {
            public long RequestNumber;
            public string UtteranceId;
            public long SampleIndex;
            public bool Final;

            public void Read(MsgpackReader reader)
            {
                for (var left = reader.ReadMapHeader(); left > 0; left--)
                {
                    switch (reader.ReadText().ToText())
                    {
                        case "request_id": RequestNumber = reader.ReadText().ToNumber(); break;
                        case "utterance_id": UtteranceId = reader.ReadText().ToText(); break;
                        case "sample_index": SampleIndex = reader.ReadInt(); break;
                        case "final": Final = reader.ReadBool(); break;
                        default: reader.Skip(); break;
                    }
                }
            }
        }
    }
}
