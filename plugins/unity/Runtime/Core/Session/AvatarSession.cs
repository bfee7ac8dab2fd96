using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Llia.Core
{
    public enum AvatarPhase
    {
        /// <summary>There is no daemon, or the avatar has not been asked for yet.</summary>
        Waiting,

        /// <summary>Asked for; the daemon prepares it.</summary>
        Opening,

        Open,

        /// <summary>The daemon refused it; <see cref="AvatarSession.Problem"/> tells why. Tried again with a new connection.</summary>
        Refused,

        Closed,
    }

    /// <summary>
    /// One avatar as long as it is wanted, whatever happens to the daemon: opened, taken up again after a lost connection,
    /// opened anew where it is gone. Safe from any thread.
    /// </summary>
    public sealed class AvatarSession
    {
        private const int MostUnheardMs = 1000;

        private readonly LliaClient m_client;
        private readonly AvatarSettings m_settings;
        private readonly object m_guard = new object();
        private readonly EventQueue m_events = new EventQueue();
        private readonly SpeechQueue m_speech;
        private readonly SpeechQueue m_heard;
        private readonly AvatarInbox m_inbox;
        private AvatarPhase m_phase = AvatarPhase.Waiting;
        private string m_problem = "";
        private string m_id = "";
        private string m_name = "";
        private long m_openedMs;
        private long m_retryMs;
        private AvatarState m_wantedState = AvatarState.Auto;
        private string m_wantedPreset;
        private IDictionary<string, float> m_wantedControls;
        private bool m_cancelWanted;
        private VoicePlayer m_voice;

        internal AvatarSession(LliaClient client, AvatarSettings settings, Action wake)
        {
            m_client = client;
            m_settings = settings;
            m_speech = new SpeechQueue(false, wake);
            m_heard = new SpeechQueue(true, wake);
            m_inbox = new AvatarInbox(this, m_events);
        }

        public AvatarSettings Settings
        {
            get { return m_settings; }
        }

        public AvatarPhase Phase
        {
            get { lock (m_guard) { return m_phase; } }
        }

        /// <summary>Why there is no avatar, one line; empty where there is one.</summary>
        public string Problem
        {
            get { lock (m_guard) { return m_problem; } }
        }

        /// <summary>Its id at the daemon, empty while it is not open.</summary>
        public string AvatarId
        {
            get { lock (m_guard) { return m_id; } }
        }

        /// <summary>The picture's name.</summary>
        public string Name
        {
            get { lock (m_guard) { return m_name; } }
        }

        /// <summary>Pictures; take them with the playhead, or with infinity for the newest.</summary>
        public Timeline<VideoFrame> Frames
        {
            get { return m_inbox.Frames; }
        }

        /// <summary>Blendshapes, where the settings want them.</summary>
        public Timeline<FaceFrame> Faces
        {
            get { return m_inbox.Faces; }
        }

        /// <summary>The newest figures that the daemon told.</summary>
        public AvatarFigures Figures
        {
            get { return m_inbox.Figures; }
        }

        /// <summary>The state of the newest picture.</summary>
        public AvatarState State
        {
            get { return m_inbox.State; }
        }

        /// <summary>Speech that waits to be sent, seconds.</summary>
        public double WaitingToSendS
        {
            get { return m_speech.WaitingS; }
        }

        /// <summary>Events lost because nobody took them.</summary>
        public long DroppedEvents
        {
            get { return m_events.Dropped; }
        }

        /// <summary>What plays its voice; null for none. Without one no sound is received.</summary>
        public VoicePlayer Voice
        {
            get { return Volatile.Read(ref m_voice); }
            set
            {
                Volatile.Write(ref m_voice, value);
                m_client.Wake();
            }
        }

        internal SpeechQueue Speech
        {
            get { return m_speech; }
        }

        internal SpeechQueue Heard
        {
            get { return m_heard; }
        }

        internal AvatarInbox Inbox
        {
            get { return m_inbox; }
        }

        /// <summary>The next event that is seen at this playhead.</summary>
        public bool TryTakeEvent(double playheadSamples, out AvatarEvent happened)
        {
            return m_events.TryTake(playheadSamples, out happened);
        }

        /// <summary>
        /// Says all of it. With a <see cref="Voice"/> it is heard from these samples, at their own rate.
        /// </summary>
        /// <exception cref="InvalidOperationException">Too much speech waits.</exception>
        public Utterance Speak(float[] mono, int sampleRateHz)
        {
            if (mono == null || mono.Length == 0)
            {
                throw new ArgumentException("there are no samples to speak", "mono");
            }
            return m_speech.Open(sampleRateHz, false, mono, Voice);
        }

        /// <summary>Begins speech that comes bit by bit; it is heard as the daemon echoes it, 16 kHz, in step even where the
        /// stream pauses.</summary>
        /// <exception cref="InvalidOperationException">Too much speech waits.</exception>
        public Utterance BeginSpeech(int sampleRateHz, bool live)
        {
            return m_speech.Open(sampleRateHz, live, null, null);
        }

        /// <summary>Begins what the other party says: the avatar listens to it and is silent.</summary>
        /// <exception cref="InvalidOperationException">Too much waits.</exception>
        public Utterance BeginHearing(int sampleRateHz)
        {
            return m_heard.Open(sampleRateHz, true, null, null);
        }

        /// <summary>Barge-in: nothing of what it says is heard or seen from now on. Returns at once.</summary>
        public void Stop()
        {
            m_speech.Cancel();
            m_inbox.Bar(m_client.NowMs);
            lock (m_guard)
            {
                m_cancelWanted = m_phase == AvatarPhase.Open;
            }
            m_client.Wake();
        }

        /// <summary>Holds the avatar in a state until <see cref="AvatarState.Auto"/>; also after a reconnect.</summary>
        public Task SetStateAsync(AvatarState state, CancellationToken cancellation)
        {
            lock (m_guard)
            {
                m_wantedState = state;
                if (m_phase != AvatarPhase.Open)
                {
                    return Task.CompletedTask;
                }
            }
            return m_client.AskAsync<OkReply>((writer, number) => Requests.SetState(writer, number, AvatarId, state), cancellation);
        }

        /// <summary>Sets the expression until the next one; also after a reconnect.</summary>
        /// <param name="preset">One of the daemon's presets, "" for none.</param>
        /// <param name="controls">Controls by name, laid over it; null for none.</param>
        public Task SetExpressionAsync(string preset, IDictionary<string, float> controls, CancellationToken cancellation)
        {
            var copied = controls == null ? new Dictionary<string, float>() : new Dictionary<string, float>(controls);
            lock (m_guard)
            {
                m_wantedPreset = preset ?? "";
                m_wantedControls = copied;
                if (m_phase != AvatarPhase.Open)
                {
                    return Task.CompletedTask;
                }
            }
            return m_client.AskAsync<OkReply>(
                (writer, number) => Requests.SetExpression(writer, number, AvatarId, preset ?? "", copied), cancellation);
        }

        /// <summary>Frees the avatar; it is not opened again.</summary>
        public void Close()
        {
            m_client.Close(this);
        }

        // What follows is called by the client, on its threads.

        /// <summary>True once for each cancel that has to be sent.</summary>
        internal bool TakeCancel()
        {
            lock (m_guard)
            {
                var wanted = m_cancelWanted && m_phase == AvatarPhase.Open;
                m_cancelWanted = false;
                return wanted;
            }
        }

        /// <summary>True if it has to be asked for now.</summary>
        internal bool BeginOpening(long nowMs)
        {
            lock (m_guard)
            {
                if (m_phase != AvatarPhase.Waiting || nowMs < m_retryMs)
                {
                    return false;
                }
                m_phase = AvatarPhase.Opening;
                return true;
            }
        }

        internal void WriteOpening(MsgpackWriter writer, long number)
        {
            if (m_settings.UseDefault)
            {
                Requests.GetAvatarInfo(writer, number, "");
            }
            else
            {
                Requests.OpenAvatar(
                    writer, number, m_settings.PictureFile == null ? m_settings.Picture : "", m_settings.Pack,
                    m_settings.SizePx, m_settings.Fps, m_settings.Format, m_settings.Alpha, m_settings.Seed);
            }
        }

        internal void Opened(AvatarReply reply, long nowMs)
        {
            lock (m_guard)
            {
                if (m_phase == AvatarPhase.Closed)
                {
                    return;
                }
                m_phase = AvatarPhase.Open;
                m_problem = "";
                m_id = reply.AvatarId;
                m_name = reply.Name;
                m_openedMs = nowMs;
            }
            m_inbox.Begin(reply.AvatarId);
            m_events.Add(new AvatarEvent { Kind = AvatarEventKind.Opened, PtsSamples = long.MinValue, Text = reply.Name });
        }

        internal void Refused(string code, string text, long nowMs)
        {
            lock (m_guard)
            {
                if (m_phase == AvatarPhase.Closed)
                {
                    return;
                }
                // Others may leave, so that there is room; what is wrong with a picture stays wrong.
                var passes = code == "limit" || code == "timeout" || code == "disconnected";
                m_phase = passes ? AvatarPhase.Waiting : AvatarPhase.Refused;
                m_retryMs = nowMs + 2000;
                if (m_problem == text)
                {
                    return;
                }
                m_problem = text;
            }
            Tell(code, text);
        }

        /// <summary>A new connection to a daemon that knows these avatars as ours.</summary>
        internal void Reconnected(List<string> ownAvatars)
        {
            m_speech.Reconnect();
            m_heard.Reconnect();
            lock (m_guard)
            {
                if (m_phase == AvatarPhase.Open && !m_settings.UseDefault && ownAvatars.Contains(m_id))
                {
                    return;
                }
                if (m_phase != AvatarPhase.Open)
                {
                    if (m_phase != AvatarPhase.Closed)
                    {
                        m_phase = AvatarPhase.Waiting;
                        m_retryMs = 0;
                    }
                    return;
                }
            }
            Lose("the connection was lost, and the avatar with it; it is opened anew");
        }

        /// <summary>The daemon has no such avatar any more.</summary>
        internal void Lose(string why)
        {
            lock (m_guard)
            {
                if (m_phase != AvatarPhase.Open)
                {
                    return;
                }
                m_phase = AvatarPhase.Waiting;
                m_retryMs = 0;
                m_id = "";
                m_problem = why;
            }
            m_speech.Interrupt();
            m_heard.Cancel();
            m_inbox.End();
            m_events.Add(new AvatarEvent { Kind = AvatarEventKind.Lost, PtsSamples = long.MinValue, Text = why });
            m_client.Wake();
        }

        internal void MarkClosed()
        {
            lock (m_guard)
            {
                m_phase = AvatarPhase.Closed;
                m_id = "";
            }
            m_speech.Cancel();
            m_heard.Cancel();
            m_inbox.End();
        }

        internal void Tell(string code, string text)
        {
            m_events.Add(new AvatarEvent
            {
                Kind = AvatarEventKind.Error, PtsSamples = long.MinValue, Code = code, Text = text, UtteranceId = "",
            });
        }

        /// <summary>
        /// Speech may go out: the avatar is open and its events are being heard, so that none about the speech is missed.
        /// </summary>
        internal bool MaySpeak(long nowMs)
        {
            lock (m_guard)
            {
                return m_phase == AvatarPhase.Open && (m_inbox.Heard || nowMs > m_openedMs + MostUnheardMs);
            }
        }

        /// <summary>What was set before and has to be told to an avatar just opened.</summary>
        internal void WriteWanted(Action<Action<MsgpackWriter, long>> send)
        {
            AvatarState state;
            string preset;
            IDictionary<string, float> controls;
            string id;
            lock (m_guard)
            {
                state = m_wantedState;
                preset = m_wantedPreset;
                controls = m_wantedControls;
                id = m_id;
            }
            if (state != AvatarState.Auto)
            {
                send((writer, number) => Requests.SetState(writer, number, id, state));
            }
            if (preset != null)
            {
                send((writer, number) => Requests.SetExpression(writer, number, id, preset, controls));
            }
        }
    }
}
