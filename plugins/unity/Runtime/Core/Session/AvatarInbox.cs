using System.Text;

namespace Llia.Core
{
    internal enum Topic
    {
        Event,
        Frame,
        Faces,
        Voice,
    }

    /// <summary>
    /// What an avatar's topics bring: keeps out what is out of date and sorts the rest. Its writing side belongs to the
    /// thread that reads the frames socket; <see cref="Bar"/> and the properties are safe from any thread.
    /// </summary>
    internal sealed class AvatarInbox
    {
        private const long NewClockSamples = 10 * JitterBuffer.RateHz;
        private const int BarMs = 1500;

        public readonly Timeline<VideoFrame> Frames = new Timeline<VideoFrame>(() => new VideoFrame());
        public readonly Timeline<FaceFrame> Faces = new Timeline<FaceFrame>(() => new FaceFrame());

        /// <summary>By <see cref="Topic"/>; null while there is no avatar.</summary>
        private byte[][] m_topics;

        private readonly AvatarSession m_session;
        private readonly EventQueue m_events;
        private readonly object m_guard = new object();
        private readonly FrameHeader m_frameHeader = new FrameHeader();
        private readonly BlendshapesHeader m_facesHeader = new BlendshapesHeader();
        private readonly EchoHeader m_echoHeader = new EchoHeader();
        private readonly EventHeader m_eventHeader = new EventHeader();
        private readonly StatisticsMessage m_statistics = new StatisticsMessage();
        private long m_epoch;
        private long m_latestPts;
        private long m_framePts;
        private long m_barredEpoch = -1;
        private long m_barredUntilMs;
        private bool m_heard;
        private AvatarFigures m_figures;
        private AvatarState m_state;

        public AvatarInbox(AvatarSession session, EventQueue events)
        {
            m_session = session;
            m_events = events;
            Forget();
        }

        /// <summary>Something has come on the topic of events.</summary>
        public bool Heard
        {
            get { lock (m_guard) { return m_heard; } }
        }

        public AvatarFigures Figures
        {
            get { lock (m_guard) { return m_figures; } }
        }

        public AvatarState State
        {
            get { lock (m_guard) { return m_state; } }
        }

        /// <summary>Topics by <see cref="Topic"/>; null while there is no avatar.</summary>
        public byte[][] Topics
        {
            get { lock (m_guard) { return m_topics; } }
        }

        /// <summary>An avatar was opened.</summary>
        public void Begin(string avatarId)
        {
            lock (m_guard)
            {
                m_topics = new[]
                {
                    Encoding.UTF8.GetBytes("event/" + avatarId),
                    Encoding.UTF8.GetBytes("frame/" + avatarId),
                    Encoding.UTF8.GetBytes("blendshapes/" + avatarId),
                    Encoding.UTF8.GetBytes("audio/" + avatarId),
                };
                Forget();
            }
        }

        /// <summary>The avatar is gone. The picture shown last stays.</summary>
        public void End()
        {
            lock (m_guard)
            {
                m_topics = null;
                Forget();
                Frames.Flush();
                Faces.Flush();
                var voice = m_session.Voice;
                if (voice != null)
                {
                    voice.Interrupt();
                }
                m_events.Release();
            }
        }

        /// <summary>The frames socket has a new connection; the daemon tells the state once more.</summary>
        public void Reconnected()
        {
            lock (m_guard)
            {
                m_heard = false;
            }
        }

        /// <summary>Barge-in: keeps out all that is of the present epoch or older.</summary>
        public void Bar(long nowMs)
        {
            lock (m_guard)
            {
                m_barredEpoch = m_epoch;
                m_barredUntilMs = nowMs + BarMs;
                Frames.Flush();
                Faces.Flush();
                var voice = m_session.Voice;
                if (voice != null)
                {
                    voice.Flush();
                }
                m_events.Release();
            }
        }

        /// <summary>Which of the topics this is; false for another avatar's.</summary>
        public bool TryTopic(TextSlice topic, out Topic which)
        {
            which = Topic.Event;
            var topics = m_topics;
            for (var i = 0; topics != null && i < topics.Length; i++)
            {
                if (topic.Is(topics[i], topics[i].Length))
                {
                    which = (Topic)i;
                    return true;
                }
            }
            return false;
        }

        /// <summary>A picture's header has come. Returns where its pixels belong; null to pass over it.</summary>
        public VideoFrame BeginFrame(MsgpackReader reader, long payloadBytes, long nowMs)
        {
            m_frameHeader.Read(reader);
            var header = m_frameHeader;
            var bytes = 4L * header.Width * header.Height;
            if (payloadBytes != bytes)
            {
                throw new MalformedMessageException("a frame of " + header.Width + "x" + header.Height + " has "
                    + payloadBytes + " bytes");
            }
            lock (m_guard)
            {
                // Whoever subscribes gets the last picture again.
                if (IsOutOfDate(header.Epoch, header.PtsSamples, nowMs) || header.PtsSamples == m_framePts)
                {
                    return null;
                }
            }
            var frame = Frames.Begin();
            frame.Take(header, (int)bytes);
            return frame;
        }

        /// <summary>The pixels are there.</summary>
        public void EndFrame(VideoFrame frame, long nowMs)
        {
            lock (m_guard)
            {
                if (IsOutOfDate(frame.Epoch, frame.PtsSamples, nowMs)) // a barge-in may have come meanwhile
                {
                    Frames.Discard(frame);
                    return;
                }
                frame.ArrivedNs = LliaClient.MonotonicNs;
                m_framePts = frame.PtsSamples;
                m_state = frame.State;
                Frames.Publish(frame);
            }
        }

        public void TakeFace(MsgpackReader reader, long nowMs)
        {
            m_facesHeader.Read(reader);
            lock (m_guard)
            {
                if (IsOutOfDate(m_facesHeader.Epoch, m_facesHeader.PtsSamples, nowMs))
                {
                    return;
                }
                m_state = m_facesHeader.State;
                var face = Faces.Begin();
                face.Take(m_facesHeader);
                Faces.Publish(face);
            }
        }

        public void TakeEcho(MsgpackReader reader, byte[] payload, int payloadBytes, long nowMs)
        {
            m_echoHeader.Read(reader);
            if (!m_echoHeader.IsFloat || m_echoHeader.Channels != 1 || m_echoHeader.SampleRateHz != JitterBuffer.RateHz
                || payloadBytes % sizeof(float) != 0)
            {
                throw new MalformedMessageException("an echo is not float32, mono, 16 kHz");
            }
            lock (m_guard)
            {
                var voice = m_session.Voice;
                if (voice != null && !IsBarred(nowMs))
                {
                    voice.Echo.Write(m_echoHeader.PtsSamples, payload, payloadBytes / sizeof(float));
                }
            }
        }

        public void TakeStatistics(MsgpackReader reader)
        {
            m_statistics.Read(reader);
            lock (m_guard)
            {
                m_heard = true;
                m_figures = AvatarFigures.Of(m_statistics);
            }
        }

        public void TakeEvent(EventKind kind, MsgpackReader reader)
        {
            m_eventHeader.Read(reader);
            lock (m_guard)
            {
                m_heard = true;
            }
            var happened = new AvatarEvent
            {
                PtsSamples = m_eventHeader.PtsSamples,
                UtteranceId = m_eventHeader.UtteranceId,
                State = m_eventHeader.State,
                Code = m_eventHeader.Code,
                Text = m_eventHeader.Text,
            };
            var voice = m_session.Voice;
            switch (kind)
            {
                case EventKind.UtteranceStarted:
                    m_session.Speech.Start(happened.UtteranceId);
                    if (voice != null)
                    {
                        voice.StartOwn(happened.UtteranceId, happened.PtsSamples);
                    }
                    return;
                case EventKind.FirstFrame:
                    happened.Kind = AvatarEventKind.SpeakingStarted;
                    break;
                case EventKind.Finished:
                    m_session.Speech.Over(happened.UtteranceId, SpeechEnd.Finished);
                    happened.Kind = AvatarEventKind.SpeakingEnded;
                    happened.End = SpeechEnd.Finished;
                    break;
                case EventKind.Cancelled:
                    m_session.Speech.Over(happened.UtteranceId, SpeechEnd.Cancelled);
                    happened.Kind = AvatarEventKind.SpeakingEnded;
                    happened.End = SpeechEnd.Cancelled;
                    happened.PtsSamples = long.MinValue;
                    break;
                case EventKind.State:
                    happened.Kind = AvatarEventKind.State;
                    break;
                case EventKind.Expression:
                    happened.Kind = AvatarEventKind.Expression;
                    happened.PtsSamples = long.MinValue;
                    happened.Text = m_eventHeader.Preset;
                    break;
                case EventKind.AvatarClosed:
                    m_session.Lose(m_eventHeader.Reason == "silent"
                        ? "the daemon had freed the avatar because this program was silent for too long"
                        : "the avatar was closed");
                    return;
                default:
                    happened.Kind = AvatarEventKind.Error;
                    happened.PtsSamples = long.MinValue;
                    break;
            }
            m_events.Add(happened);
        }

        /// <summary>Keeps the epoch and the clock's newest moment; true for what a barge-in has made void.</summary>
        private bool IsOutOfDate(long epoch, long ptsSamples, long nowMs)
        {
            if (ptsSamples < m_latestPts - NewClockSamples)
            {
                Forget(); // another daemon: its clock began anew
                m_heard = true;
            }
            if (epoch < m_epoch)
            {
                return true;
            }
            m_epoch = epoch;
            m_latestPts = System.Math.Max(m_latestPts, ptsSamples);
            return IsBarred(nowMs);
        }

        private bool IsBarred(long nowMs)
        {
            if (m_barredEpoch < 0)
            {
                return false;
            }
            if (m_epoch <= m_barredEpoch && nowMs < m_barredUntilMs)
            {
                return true;
            }
            m_barredEpoch = -1;
            return false;
        }

        private void Forget()
        {
            m_epoch = 0;
            m_latestPts = long.MinValue / 2;
            m_framePts = long.MinValue;
            m_barredEpoch = -1;
            m_heard = false;
        }
    }
}
