namespace Llia.Core
{
    /// <summary>What the daemon tells of an avatar once a second.</summary>
    public struct AvatarFigures
    {
        public double Fps;
        public double LeadMs;
        public double ComputeMs;

        /// <summary>From an utterance's first sample to its first picture, -1 before the first.</summary>
        public double FirstFrameMs;

        /// <summary>From sound to picture, -1 in silence.</summary>
        public double LatencyMs;

        public long Stalls;
        public double StalledMs;
        public double SkippedAudioMs;
        public double SpeechWaitingMs;

        internal static AvatarFigures Of(StatisticsMessage message)
        {
            return new AvatarFigures
            {
                Fps = message.Fps,
                LeadMs = message.LeadMs,
                ComputeMs = message.ComputeMs,
                FirstFrameMs = message.FirstFrameMs,
                LatencyMs = message.LatencyMs,
                Stalls = message.Stalls,
                StalledMs = message.StalledMs,
                SkippedAudioMs = message.SkippedAudioMs,
                SpeechWaitingMs = message.Queues.Get("speech_ms", 0),
            };
        }
    }
}
