using Llia.Core;
using UnityEngine;

namespace Llia
{
    // Opens the avatar, looks at it every frame, closes it.
    public sealed partial class LliaAvatar
    {
        private AvatarSession m_session;
        private LliaClient m_client;
        private AvatarPicture m_shown;
        private AvatarState m_state = AvatarState.Idle;
        private bool m_speaking;
        private int m_faceUsers;

        /// <summary>The avatar at the daemon; null while this or the connection is disabled.</summary>
        public AvatarSession Session
        {
            get { return m_session; }
        }

        /// <summary>The avatar is there and can speak at once. Speech given before waits for it.</summary>
        public bool IsOpen
        {
            get { return m_session != null && m_session.Phase == AvatarPhase.Open; }
        }

        /// <summary>Of the picture that is shown.</summary>
        public AvatarState State
        {
            get { return m_state; }
        }

        public bool IsSpeaking
        {
            get { return m_speaking; }
        }

        /// <summary>The picture, for a use of your own; its rows run from the top, so turn it by scale (1, -1) and offset
        /// (0, 1). Null before the first.</summary>
        public Texture2D Texture
        {
            get { return m_shown == null ? null : m_shown.Texture; }
        }

        /// <summary>The face that belongs to the picture, while a LLIA Blendshapes uses this avatar; null before the first.</summary>
        public FaceFrame Face { get; private set; }

        /// <summary>Why there is no avatar, one line; empty if there is one.</summary>
        public string Problem
        {
            get
            {
                var session = m_session;
                var connection = m_connection;
                return session == null ? "switched off"
                    : session.Phase == AvatarPhase.Open ? ""
                    : session.Problem.Length > 0 ? session.Problem
                    : connection != null ? connection.Help : "";
            }
        }

        /// <summary>Time from a sample's arrival at the daemon to its picture here: what to expect of a reaction.</summary>
        public double LatencyMs
        {
            get
            {
                var session = m_session;
                if (session == null)
                {
                    return 0;
                }
                var voice = session.Voice;
                return session.Figures.LeadMs + (voice == null ? 0 : voice.DelayMs + voice.DeviceMs);
            }
        }

        internal AvatarPicture Shown
        {
            get { return m_shown; }
        }

        /// <summary>Faces are sent only while somebody uses them.</summary>
        internal void UseFaces(bool use)
        {
            m_faceUsers += use ? 1 : -1;
            if (m_session != null)
            {
                m_session.Settings.WantFaces = m_faceUsers > 0;
            }
        }

        private void OnEnable()
        {
            if (m_shown == null)
            {
                m_shown = new AvatarPicture();
            }
            Follow();
        }

        private void Update()
        {
            Follow();
            var session = m_session;
            if (session == null || IsPaused())
            {
                return;
            }
            FollowVoice();
            SpeakLoadedClips();
            var playhead = Playhead(session);
            var frame = session.Frames.Take(playhead);
            if (frame != null)
            {
                m_shown.Show(frame, this);
            }
            var face = session.Faces.Take(playhead);
            if (face != null)
            {
                Face = face;
            }
            AvatarEvent happened;
            while (m_session == session && session.TryTakeEvent(playhead, out happened))
            {
                Tell(happened);
            }
        }

        private void OnDisable()
        {
            Leave();
        }

        private void OnDestroy()
        {
            Leave();
            if (m_shown != null)
            {
                m_shown.Release(this);
                m_shown = null;
            }
        }

        /// <summary>Opens the avatar at the connection's present client.</summary>
        private void Follow()
        {
            if (m_connection == null)
            {
                m_connection = LliaConnection.FindOrMake();
            }
            var client = m_connection.Client;
            if (client == m_client)
            {
                return;
            }
            Leave();
            m_client = client;
            if (client == null)
            {
                return;
            }
            m_session = client.Open(new AvatarSettings
            {
                UseDefault = m_useDefaultAvatar,
                PictureFile = m_portrait == null ? null : m_portrait.bytes,
                Picture = m_picture ?? "",
                Pack = m_pack ?? "",
                SizePx = m_sizePx,
                Fps = m_framesPerSecond,
                Alpha = m_premultipliedAlpha ? AlphaMode.Premultiplied : AlphaMode.Straight,
                WantFaces = m_faceUsers > 0,
            });
            FollowVoice();
        }

        private void Leave()
        {
            var session = m_session;
            m_session = null;
            m_client = null;
            m_stream = null;
            m_hearing = null;
            m_clips.Clear();
            Face = null;
            ReleaseVoice();
            if (session != null)
            {
                session.Close();
            }
            EndSpeaking("", SpeechEnd.Interrupted);
        }

        private void Tell(AvatarEvent happened)
        {
            switch (happened.Kind)
            {
                case AvatarEventKind.SpeakingStarted:
                    m_speaking = true;
                    m_onSpeakingStarted.Invoke(happened.UtteranceId);
                    if (SpeakingStarted != null)
                    {
                        SpeakingStarted(happened.UtteranceId);
                    }
                    break;
                case AvatarEventKind.SpeakingEnded:
                    EndSpeaking(happened.UtteranceId, happened.End);
                    break;
                case AvatarEventKind.Lost:
                    EndSpeaking("", SpeechEnd.Interrupted);
                    TellError("lost", happened.Text);
                    break;
                case AvatarEventKind.State:
                    m_state = happened.State;
                    m_onState.Invoke(happened.State);
                    if (StateChanged != null)
                    {
                        StateChanged(happened.State);
                    }
                    break;
                case AvatarEventKind.Error:
                    TellError(happened.Code, happened.Text);
                    break;
            }
        }

        private void EndSpeaking(string utteranceId, SpeechEnd how)
        {
            if (!m_speaking)
            {
                return; // dropped before it was seen, or told already when it was stopped
            }
            m_speaking = false;
            m_onSpeakingEnded.Invoke(utteranceId);
            if (SpeakingEnded != null)
            {
                SpeakingEnded(utteranceId, how);
            }
        }

        private void TellError(string code, string text)
        {
            Debug.LogWarning("LLIA: " + name + ": " + text, this);
            m_onError.Invoke(text);
            if (Failed != null)
            {
                Failed(code, text);
            }
        }
    }
}
