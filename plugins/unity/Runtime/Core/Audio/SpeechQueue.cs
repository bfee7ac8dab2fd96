using System;
using System.Collections.Generic;

namespace Llia.Core
{
    /// <summary>
    /// Utterances on their way to the daemon, in order. Each piece bears its sample index and waits for its answer before
    /// the next is sent: a piece that was lost with a connection or refused because the daemon's queue is full is sent
    /// again and never leaves a gap. Bounded: what does not fit is told to whoever pushes it.
    /// </summary>
    internal sealed class SpeechQueue
    {
        /// <summary>A piece lasts at most so long; shorter where less is there.</summary>
        public const int PieceMs = 500;

        public const int MostUtterances = 64;

        /// <summary>A piece that was not answered for so long is sent again.</summary>
        private const int AnswerMs = 5000;

        private readonly object m_guard = new object();
        private readonly List<Utterance> m_utterances = new List<Utterance>();
        private readonly bool m_other;
        private readonly Action m_wake;
        private double m_limitS = 300;
        private long m_inFlight = -1;
        private Utterance m_inFlightOf;
        private long m_inFlightEnd;
        private bool m_inFlightFinal;
        private long m_sentMs;
        private long m_notBeforeMs;

        /// <param name="other">For what the other party says.</param>
        /// <param name="wake">Is called when there is something to send.</param>
        public SpeechQueue(bool other, Action wake)
        {
            m_other = other;
            m_wake = wake;
        }

        public bool Other
        {
            get { return m_other; }
        }

        /// <summary>Most sound that may wait here, seconds.</summary>
        public void SetLimit(double seconds)
        {
            lock (m_guard)
            {
                m_limitS = seconds;
            }
        }

        /// <summary>Sound that waits to be sent, seconds.</summary>
        public double WaitingS
        {
            get { lock (m_guard) { return Waiting(); } }
        }

        /// <exception cref="InvalidOperationException">Too many utterances wait.</exception>
        /// <param name="whole">All of its samples; null where they are pushed.</param>
        /// <param name="voice">Plays the whole utterance from these samples; null for none.</param>
        public Utterance Open(int sampleRateHz, bool live, float[] whole, VoicePlayer voice)
        {
            if (sampleRateHz < 8000 || sampleRateHz > 192000)
            {
                throw new ArgumentOutOfRangeException("sampleRateHz", sampleRateHz, "8000 to 192000 Hz are possible");
            }
            lock (m_guard)
            {
                if (m_utterances.Count >= MostUtterances)
                {
                    throw new InvalidOperationException(MostUtterances + " utterances wait; speak again when some are over");
                }
                if (whole != null && Waiting() + (double)whole.Length / sampleRateHz > m_limitS)
                {
                    throw new InvalidOperationException(Waiting().ToString("0") + " s of speech wait and "
                        + ((double)whole.Length / sampleRateHz).ToString("0") + " s more exceed the limit of "
                        + m_limitS.ToString("0") + " s; speak again when some is over");
                }
                var utterance = new Utterance(this, sampleRateHz, live, whole == null ? new SampleQueue() : new SampleQueue(whole));
                utterance.EndRequested = whole != null;
                if (voice != null)
                {
                    voice.Add(new OwnVoice(utterance.Id, whole, sampleRateHz, voice.OutputRateHz));
                }
                m_utterances.Add(utterance);
                m_wake();
                return utterance;
            }
        }

        public int Push(Utterance utterance, float[] mono, int offset, int count)
        {
            if (mono == null || offset < 0 || count < 0 || count > mono.Length - offset)
            {
                throw new ArgumentOutOfRangeException("count", "the samples lie outside the array");
            }
            lock (m_guard)
            {
                if (utterance.Over || utterance.EndRequested)
                {
                    return 0;
                }
                var room = (long)((m_limitS - Waiting()) * utterance.SampleRateHz);
                var taken = (int)Math.Max(0, Math.Min(count, room));
                utterance.Samples.Append(mono, offset, taken);
                m_wake();
                return taken;
            }
        }

        public void End(Utterance utterance)
        {
            lock (m_guard)
            {
                utterance.EndRequested = true;
            }
            m_wake();
        }

        /// <summary>
        /// Writes the next request and returns true, if there is one to send now.
        /// </summary>
        /// <param name="payload">Its samples; grows if need be. 0 samples and no payload: it is an end.</param>
        public bool TryNext(long number, long nowMs, string avatarId, MsgpackWriter writer, ref byte[] payload, out int payloadBytes)
        {
            payloadBytes = -1;
            lock (m_guard)
            {
                if ((m_inFlight >= 0 && nowMs < m_sentMs + AnswerMs) || nowMs < m_notBeforeMs)
                {
                    return false;
                }
                RemoveEmpty();
                m_sentMs = nowMs;
                foreach (var utterance in m_utterances)
                {
                    var waiting = utterance.Samples.End - utterance.Acknowledged;
                    if (waiting > 0)
                    {
                        payloadBytes = WritePiece(utterance, waiting, number, avatarId, writer, ref payload);
                        return true;
                    }
                    if (utterance.EndRequested && !utterance.EndAcknowledged)
                    {
                        Requests.End(writer, number, avatarId, utterance.Id, m_other);
                        Flies(number, utterance, utterance.Acknowledged, true);
                        return true;
                    }
                    if (!utterance.EndRequested)
                    {
                        return false; // the order of first pieces is the order of speaking
                    }
                }
                return false;
            }
        }

        /// <summary>The daemon has taken the piece with this number; false if it is none of this queue.</summary>
        public bool Acknowledge(long number)
        {
            Utterance sent = null;
            lock (m_guard)
            {
                if (number < 0 || number != m_inFlight)
                {
                    return false;
                }
                m_inFlight = -1;
                m_inFlightOf.Acknowledged = m_inFlightEnd;
                if (m_inFlightOf.Started)
                {
                    m_inFlightOf.Samples.Release(m_inFlightEnd);
                }
                m_inFlightOf.EndAcknowledged |= m_inFlightFinal;
                if (m_other && m_inFlightFinal)
                {
                    sent = m_inFlightOf;
                    Remove(sent);
                }
            }
            if (sent != null)
            {
                sent.Complete(SpeechEnd.Finished);
            }
            m_wake();
            return true;
        }

        /// <summary>The daemon has refused the piece; false if it is none of this queue.</summary>
        /// <param name="lost">The utterance that cannot go on; null where the piece is sent again.</param>
        public bool Refuse(long number, string code, long nowMs, out Utterance lost)
        {
            lost = null;
            lock (m_guard)
            {
                if (number < 0 || number != m_inFlight)
                {
                    return false;
                }
                m_inFlight = -1;
                if (code == "queue_full")
                {
                    m_notBeforeMs = nowMs + 250;
                }
                else if (code != "unknown_avatar")
                {
                    lost = m_inFlightOf;
                    Remove(lost);
                }
            }
            if (lost != null)
            {
                lost.Complete(code == "utterance_cancelled" ? SpeechEnd.Cancelled : SpeechEnd.Interrupted);
            }
            return true;
        }

        /// <summary>The connection is gone: the piece under way is sent again, by its index.</summary>
        public void Reconnect()
        {
            lock (m_guard)
            {
                m_inFlight = -1;
            }
        }

        /// <summary>The daemon has begun to speak an utterance; its samples are needed no more once they have arrived.</summary>
        public void Start(string utteranceId)
        {
            lock (m_guard)
            {
                foreach (var utterance in m_utterances)
                {
                    if (utterance.Id == utteranceId)
                    {
                        utterance.Started = true;
                        utterance.Samples.Release(utterance.Acknowledged);
                    }
                }
            }
        }

        /// <summary>The avatar is gone: what was under way cannot go on, what was not begun is said by the next one.</summary>
        public void Interrupt()
        {
            RemoveAll(utterance => utterance.Started, SpeechEnd.Interrupted);
            lock (m_guard)
            {
                m_inFlight = -1;
                foreach (var utterance in m_utterances)
                {
                    utterance.Acknowledged = 0;
                    utterance.EndAcknowledged = false;
                }
            }
        }

        /// <summary>Barge-in: everything is dropped.</summary>
        public void Cancel()
        {
            RemoveAll(utterance => true, SpeechEnd.Cancelled);
        }

        /// <summary>The daemon tells that an utterance is over; null if it is none of ours.</summary>
        public Utterance Over(string utteranceId, SpeechEnd how)
        {
            Utterance found = null;
            lock (m_guard)
            {
                foreach (var utterance in m_utterances)
                {
                    if (utterance.Id == utteranceId)
                    {
                        found = utterance;
                    }
                }
                if (found == null)
                {
                    return null;
                }
                Remove(found);
            }
            found.Complete(how);
            return found;
        }

        private void RemoveAll(Predicate<Utterance> which, SpeechEnd how)
        {
            List<Utterance> removed;
            lock (m_guard)
            {
                removed = m_utterances.FindAll(which);
                removed.ForEach(Remove);
            }
            removed.ForEach(utterance => utterance.Complete(how));
        }

        private void Remove(Utterance utterance)
        {
            utterance.Over = true;
            m_utterances.Remove(utterance);
            if (m_inFlightOf == utterance)
            {
                m_inFlight = -1;
                m_inFlightOf = null;
            }
        }

        /// <summary>An utterance that ends without a sample never was one; the daemon would not tell of its end.</summary>
        private void RemoveEmpty()
        {
            for (var i = m_utterances.Count - 1; i >= 0; i--)
            {
                var utterance = m_utterances[i];
                if (utterance.EndRequested && utterance.Samples.End == 0)
                {
                    Remove(utterance);
                    utterance.Complete(SpeechEnd.Finished);
                }
            }
        }

        private double Waiting()
        {
            var seconds = 0.0;
            for (var i = 0; i < m_utterances.Count; i++)
            {
                var utterance = m_utterances[i];
                seconds += (double)(utterance.Samples.End - utterance.Acknowledged) / utterance.SampleRateHz;
            }
            return seconds;
        }

        private int WritePiece(
            Utterance utterance, long waiting, long number, string avatarId, MsgpackWriter writer, ref byte[] payload)
        {
            var count = (int)Math.Min(waiting, (long)utterance.SampleRateHz * PieceMs / 1000);
            var bytes = count * sizeof(float);
            if (payload.Length < bytes)
            {
                payload = new byte[bytes];
            }
            utterance.Samples.CopyTo(utterance.Acknowledged, payload, count);
            var final = utterance.EndRequested && count == waiting;
            Requests.Audio(
                writer, number, avatarId, utterance.Id, utterance.SampleRateHz, 1, true, utterance.Acknowledged, final,
                utterance.Live, m_other);
            Flies(number, utterance, utterance.Acknowledged + count, final);
            return bytes;
        }

        private void Flies(long number, Utterance utterance, long end, bool final)
        {
            m_inFlight = number;
            m_inFlightOf = utterance;
            m_inFlightEnd = end;
            m_inFlightFinal = final;
        }
    }
}
