using System.Collections.Generic;

namespace Llia.Core
{
    /// <summary>An answer; <see cref="RequestNumber"/> is -1 where the request had no number of ours.</summary>
    internal abstract class Reply : WireMessage
    {
        public long RequestNumber = -1;

        protected override void Clear()
        {
            RequestNumber = -1;
        }

        protected override bool ReadField(string key, MsgpackReader reader)
        {
            if (key != "request_id")
            {
                return false;
            }
            RequestNumber = reader.ReadText().ToNumber();
            return true;
        }

        protected static void ReadTexts(MsgpackReader reader, List<string> texts)
        {
            var count = reader.ReadArrayHeader();
            for (var i = 0; i < count; i++)
            {
                texts.Add(reader.ReadText().ToText());
            }
        }
    }

    internal sealed class OkReply : Reply
    {
    }

    internal sealed class PongReply : Reply
    {
        public long DaemonNs;

        protected override bool ReadField(string key, MsgpackReader reader)
        {
            if (key != "daemon_ns")
            {
                return base.ReadField(key, reader);
            }
            DaemonNs = reader.ReadInt();
            return true;
        }
    }

    internal sealed class ErrorReply : Reply
    {
        public string Code = "";
        public string Text = "";
        public string AvatarId = "";

        protected override void Clear()
        {
            base.Clear();
            Code = Text = AvatarId = "";
        }

        protected override bool ReadField(string key, MsgpackReader reader)
        {
            switch (key)
            {
                case "code": Code = reader.ReadText().ToText(); return true;
                case "text": Text = reader.ReadText().ToText(); return true;
                case "avatar_id": AvatarId = reader.ReadText().ToText(); return true;
                default: return base.ReadField(key, reader);
            }
        }
    }

    internal sealed class WelcomeReply : Reply
    {
        public int ProtocolVersion = 1;
        public string Daemon = "";
        public string FramesEndpoint = "";
        public string ResumeToken = "";
        public readonly List<string> Capabilities = new List<string>();
        public readonly List<string> Avatars = new List<string>();
        public readonly List<string> OwnAvatars = new List<string>();
        public readonly List<string> Expressions = new List<string>();
        public readonly NamedNumbers Limits = new NamedNumbers();

        protected override void Clear()
        {
            base.Clear();
            ProtocolVersion = 1;
            Daemon = FramesEndpoint = ResumeToken = "";
            Capabilities.Clear();
            Avatars.Clear();
            OwnAvatars.Clear();
            Expressions.Clear();
            Limits.Clear();
        }

        protected override bool ReadField(string key, MsgpackReader reader)
        {
            switch (key)
            {
                case "protocol_version": ProtocolVersion = reader.ReadInt(0, 1000, key); return true;
                case "daemon": Daemon = reader.ReadText().ToText(); return true;
                case "frames_endpoint": FramesEndpoint = reader.ReadText().ToText(); return true;
                case "resume_token": ResumeToken = reader.ReadText().ToText(); return true;
                case "capabilities": ReadTexts(reader, Capabilities); return true;
                case "avatars": ReadTexts(reader, Avatars); return true;
                case "own_avatars": ReadTexts(reader, OwnAvatars); return true;
                case "expressions": ReadTexts(reader, Expressions); return true;
                case "limits": Limits.Read(reader); return true;
                default: return base.ReadField(key, reader);
            }
        }
    }

    /// <summary>Both avatar_info and avatar_opened.</summary>
    internal sealed class AvatarReply : Reply
    {
        public string AvatarId = "";
        public string Name = "";
        public int Width;
        public int Height;
        public int Fps;
        public string Format = "RGBA";
        public AlphaMode Alpha;
        public int SampleRateHz = 16000;
        public double LookaheadMs;
        public double LeadMs;
        public string Provider = "";
        public string ResumeToken = "";
        public readonly List<string> Capabilities = new List<string>();
        public readonly NamedNumbers Limits = new NamedNumbers();

        protected override void Clear()
        {
            base.Clear();
            AvatarId = Name = Provider = ResumeToken = "";
            Width = Height = Fps = 0;
            Format = "RGBA";
            Alpha = AlphaMode.Straight;
            SampleRateHz = 16000;
            LookaheadMs = LeadMs = 0;
            Capabilities.Clear();
            Limits.Clear();
        }

        protected override bool ReadField(string key, MsgpackReader reader)
        {
            switch (key)
            {
                case "avatar_id": AvatarId = reader.ReadText().ToText(); return true;
                case "name": Name = reader.ReadText().ToText(); return true;
                case "width": Width = reader.ReadInt(1, FrameHeader.MaxSidePx, key); return true;
                case "height": Height = reader.ReadInt(1, FrameHeader.MaxSidePx, key); return true;
                case "fps": Fps = reader.ReadInt(1, 1000, key); return true;
                case "format": Format = reader.ReadText().ToText(); return true;
                case "alpha": Alpha = WireNames.Alpha(reader.ReadText()); return true;
                case "sample_rate_hz": SampleRateHz = reader.ReadInt(1, 192000, key); return true;
                case "lookahead_ms": LookaheadMs = reader.ReadNumber(); return true;
                case "lead_ms": LeadMs = reader.ReadNumber(); return true;
                case "provider": Provider = reader.ReadText().ToText(); return true;
                case "resume_token": ResumeToken = reader.ReadText().ToText(); return true;
                case "capabilities": ReadTexts(reader, Capabilities); return true;
                case "limits": Limits.Read(reader); return true;
                default: return base.ReadField(key, reader);
            }
        }
    }

    /// <summary>An avatar's figures, once a second or when asked for.</summary>
    internal sealed class StatisticsMessage : Reply
    {
        public AvatarState State;
        public double Fps;
        public double LeadMs;
        public double ComputeMs;
        public double FirstFrameMs;
        public double LatencyMs;
        public long Stalls;
        public double StalledMs;
        public double SkippedAudioMs;
        public readonly NamedNumbers StagesMs = new NamedNumbers();
        public readonly NamedNumbers Queues = new NamedNumbers();
        public readonly NamedNumbers Drops = new NamedNumbers();
        public readonly NamedNumbers Daemon = new NamedNumbers();
        public readonly NamedNumbers DelaysMs = new NamedNumbers();

        protected override void Clear()
        {
            base.Clear();
            State = AvatarState.Idle;
            Fps = LeadMs = ComputeMs = StalledMs = SkippedAudioMs = 0;
            FirstFrameMs = LatencyMs = -1;
            Stalls = 0;
            StagesMs.Clear();
            Queues.Clear();
            Drops.Clear();
            Daemon.Clear();
            DelaysMs.Clear();
        }

        protected override bool ReadField(string key, MsgpackReader reader)
        {
            switch (key)
            {
                case "state": State = WireNames.State(reader.ReadText()); return true;
                case "fps": Fps = reader.ReadNumber(); return true;
                case "lead_ms": LeadMs = reader.ReadNumber(); return true;
                case "compute_ms": ComputeMs = reader.ReadNumber(); return true;
                case "first_frame_ms": FirstFrameMs = reader.ReadNumber(); return true;
                case "latency_ms": LatencyMs = reader.ReadNumber(); return true;
                case "stalls": Stalls = reader.ReadInt(); return true;
                case "stalled_ms": StalledMs = reader.ReadNumber(); return true;
                case "skipped_audio_ms": SkippedAudioMs = reader.ReadNumber(); return true;
                case "stages_ms": StagesMs.Read(reader); return true;
                case "queues": Queues.Read(reader); return true;
                case "drops": Drops.Read(reader); return true;
                case "daemon": Daemon.Read(reader); return true;
                case "delays_ms": DelaysMs.Read(reader); return true;
                default: return base.ReadField(key, reader);
            }
        }
    }
}
