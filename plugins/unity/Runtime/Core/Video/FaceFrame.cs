namespace Llia.Core
{
    /// <summary>A face in ARKit's names, used again: keep it no longer than until the next one is taken.</summary>
    public sealed class FaceFrame : ITimed
    {
        public long PtsSamples { get; internal set; }
        public long Epoch { get; internal set; }
        public AvatarState State { get; internal set; }
        public string UtteranceId { get; internal set; }

        /// <summary>ARKit's names to 0..1; those that are missing are 0.</summary>
        public NamedNumbers Shapes { get; private set; }

        /// <summary>yaw (to the avatar's left), pitch (down), roll (towards its left shoulder), degrees.</summary>
        public NamedNumbers HeadDeg { get; private set; }

        /// <summary>The fifteen names of Oculus LipSync to weights that add up to 1.</summary>
        public NamedNumbers Visemes { get; private set; }

        internal FaceFrame()
        {
            UtteranceId = "";
            Shapes = new NamedNumbers();
            HeadDeg = new NamedNumbers();
            Visemes = new NamedNumbers();
        }

        internal void Take(BlendshapesHeader header)
        {
            PtsSamples = header.PtsSamples;
            Epoch = header.Epoch;
            State = header.State;
            UtteranceId = header.UtteranceId;
            header.Shapes.CopyTo(Shapes);
            header.HeadDeg.CopyTo(HeadDeg);
            header.Visemes.CopyTo(Visemes);
        }
    }
}
