namespace Llia.Core
{
    /// <summary>Header of a picture; its payload is the pixels, rows from the top.</summary>
    internal sealed class FrameHeader : WireMessage
    {
        public const int MaxSidePx = 8192;

        /// <summary>The picture's time on the avatar's clock, 16 kHz samples.</summary>
        public long PtsSamples;

        /// <summary>A barge-in advances it; a smaller one is out of date.</summary>
        public long Epoch;

        public string UtteranceId;
        public AvatarState State;
        public int Width;
        public int Height;
        public PixelFormat Format;
        public AlphaMode Alpha;

        /// <summary>From sound to picture, -1 in silence.</summary>
        public double LatencyMs;

        /// <summary>The daemon's monotonic clock.</summary>
        public long PublishedNs;

        private readonly CachedText m_utterance = new CachedText();

        protected override void Clear()
        {
            PtsSamples = Epoch = PublishedNs = 0;
            UtteranceId = "";
            State = AvatarState.Idle;
            Width = Height = 0;
            Format = PixelFormat.Rgba;
            Alpha = AlphaMode.Straight;
            LatencyMs = -1;
        }

        protected override bool ReadField(string key, MsgpackReader reader)
        {
            switch (key)
            {
                case "pts_samples": PtsSamples = reader.ReadInt(); return true;
                case "epoch": Epoch = reader.ReadInt(); return true;
                case "utterance_id": UtteranceId = m_utterance.Of(reader.ReadText()); return true;
                case "state": State = WireNames.State(reader.ReadText()); return true;
                case "width": Width = reader.ReadInt(1, MaxSidePx, key); return true;
                case "height": Height = reader.ReadInt(1, MaxSidePx, key); return true;
                case "format": Format = WireNames.Format(reader.ReadText()); return true;
                case "alpha": Alpha = WireNames.Alpha(reader.ReadText()); return true;
                case "latency_ms": LatencyMs = reader.ReadNumber(); return true;
                case "published_ns": PublishedNs = reader.ReadInt(); return true;
                default: return false;
            }
        }
    }

    /// <summary>The face of the picture of the same time.</summary>
    internal sealed class BlendshapesHeader : WireMessage
    {
        public long PtsSamples;
        public long Epoch;
        public string UtteranceId;
        public AvatarState State;
        public long PublishedNs;

        /// <summary>ARKit's names to 0..1; missing ones are 0.</summary>
        public readonly NamedNumbers Shapes = new NamedNumbers();

        /// <summary>yaw, pitch, roll in degrees.</summary>
        public readonly NamedNumbers HeadDeg = new NamedNumbers();

        /// <summary>The fifteen names of Oculus LipSync; they add up to 1.</summary>
        public readonly NamedNumbers Visemes = new NamedNumbers();

        private readonly CachedText m_utterance = new CachedText();

        protected override void Clear()
        {
            PtsSamples = Epoch = PublishedNs = 0;
            UtteranceId = "";
            State = AvatarState.Idle;
            Shapes.Clear();
            HeadDeg.Clear();
            Visemes.Clear();
        }

        protected override bool ReadField(string key, MsgpackReader reader)
        {
            switch (key)
            {
                case "pts_samples": PtsSamples = reader.ReadInt(); return true;
                case "epoch": Epoch = reader.ReadInt(); return true;
                case "utterance_id": UtteranceId = m_utterance.Of(reader.ReadText()); return true;
                case "state": State = WireNames.State(reader.ReadText()); return true;
                case "published_ns": PublishedNs = reader.ReadInt(); return true;
                case "shapes": Shapes.Read(reader); return true;
                case "head_deg": HeadDeg.Read(reader); return true;
                case "visemes": Visemes.Read(reader); return true;
                default: return false;
            }
        }
    }

    /// <summary>Header of the sound that is heard with the picture of the same time: mono, float32, 16 kHz.</summary>
    internal sealed class EchoHeader : WireMessage
    {
        public long PtsSamples;
        public string UtteranceId;
        public int SampleRateHz;
        public int Channels;
        public bool IsFloat;
        public long PublishedNs;

        private readonly CachedText m_utterance = new CachedText();

        protected override void Clear()
        {
            PtsSamples = PublishedNs = 0;
            UtteranceId = "";
            SampleRateHz = 16000;
            Channels = 1;
            IsFloat = true;
        }

        protected override bool ReadField(string key, MsgpackReader reader)
        {
            switch (key)
            {
                case "pts_samples": PtsSamples = reader.ReadInt(); return true;
                case "utterance_id": UtteranceId = m_utterance.Of(reader.ReadText()); return true;
                case "sample_rate_hz": SampleRateHz = reader.ReadInt(1, 192000, key); return true;
                case "channels": Channels = reader.ReadInt(1, 2, key); return true;
                case "format": IsFloat = reader.ReadText().Is("f32"); return true;
                case "published_ns": PublishedNs = reader.ReadInt(); return true;
                default: return false;
            }
        }
    }

    internal enum EventKind
    {
        State,
        UtteranceStarted,
        FirstFrame,
        Finished,
        Cancelled,
        Expression,
        AvatarClosed,
        Error,
    }

    /// <summary>What happens to an avatar; which fields mean something depends on the kind.</summary>
    internal sealed class EventHeader : WireMessage
    {
        public string UtteranceId;
        public long PtsSamples;
        public AvatarState State;
        public double LatencyMs;
        public string Preset;
        public string Reason;
        public string Code;
        public string Text;
        public readonly NamedNumbers Controls = new NamedNumbers();

        private readonly CachedText m_utterance = new CachedText();

        /// <summary>False if the type is no such event, but perhaps one of a later version.</summary>
        public static bool TryKind(TextSlice type, out EventKind kind)
        {
            kind = type.Is("state") ? EventKind.State
                : type.Is("utterance_started") ? EventKind.UtteranceStarted
                : type.Is("first_frame") ? EventKind.FirstFrame
                : type.Is("finished") ? EventKind.Finished
                : type.Is("cancelled") ? EventKind.Cancelled
                : type.Is("expression") ? EventKind.Expression
                : type.Is("avatar_closed") ? EventKind.AvatarClosed
                : EventKind.Error;
            return kind != EventKind.Error || type.Is("error");
        }

        protected override void Clear()
        {
            UtteranceId = Preset = Reason = Code = Text = "";
            PtsSamples = 0;
            State = AvatarState.Idle;
            LatencyMs = -1;
            Controls.Clear();
        }

        protected override bool ReadField(string key, MsgpackReader reader)
        {
            switch (key)
            {
                case "utterance_id": UtteranceId = m_utterance.Of(reader.ReadText()); return true;
                case "pts_samples": PtsSamples = reader.ReadInt(); return true;
                case "state": State = WireNames.State(reader.ReadText()); return true;
                case "latency_ms": LatencyMs = reader.ReadNumber(); return true;
                case "preset": Preset = reader.ReadText().ToText(); return true;
                case "controls": Controls.Read(reader); return true;
                case "reason": Reason = reader.ReadText().ToText(); return true;
                case "code": Code = reader.ReadText().ToText(); return true;
                case "text": Text = reader.ReadText().ToText(); return true;
                default: return false;
            }
        }
    }
}
