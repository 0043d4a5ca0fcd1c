"""English words that stand on signs, shop fronts, streets, labels and posters."""

# One string, split at import: a list of quoted words would be five times as long.
_WORDS = """
open closed sale exit entrance entry push pull stop parking toilets ladies gents caution
danger warning wet floor private keep out fire alarm emergency door stairs lift level
ground basement welcome thank you please wait here queue pay cash only cards accepted
receipt refund returns fitting rooms customers staff reception information tickets
ticket office lost property luggage lockers platform train station tram metro subway bus
taxi airport terminal gate departures arrivals delayed boarding passengers customs
passport control security check baggage claim transfer shuttle ferry port harbour pier
bridge tunnel highway motorway road street avenue lane drive court square place park
gardens alley boulevard crescent terrace north south east west central upper lower old
new great little inner outer left right ahead detour diversion slow speed limit zone
school crossing pedestrians cyclists no yield give way one two three four five six seven
eight nine ten first second third last next end begins dead turn entering leaving city
town village county market hall library museum gallery theatre cinema stadium arena
church cathedral temple mosque college university campus hospital clinic pharmacy
chemist dentist doctor surgery nurse ward patients visitors visiting hours monday
tuesday wednesday thursday friday saturday sunday january february march april may june
july august september october november december today tomorrow daily weekly monthly
morning evening night midnight noon spring summer autumn winter season holiday christmas
easter coffee tea espresso latte cappuccino mocha americano chocolate milk cream sugar
juice smoothie water soda cola lemonade beer wine whisky vodka gin rum cider brewery bar
pub tavern inn hotel hostel motel lodge guest house vacancies suite restaurant cafe
bistro diner grill kitchen pizzeria pizza pasta burger burgers fries chips fish chicken
beef pork lamb bacon ham sausage steak ribs salad soup sandwich sandwiches bagel toast
bread bakery cake cakes cookies donuts muffin pastry pie pies pancake waffles ice
dessert sweets candy snacks nuts fruit fruits apple apples banana bananas orange oranges
lemon lime mango melon peach pear plum grape grapes berry cherry strawberry tomato
potato potatoes onion garlic carrot pepper salt spice spicy sauce curry rice noodles
sushi ramen tacos burrito kebab falafel vegan vegetarian organic fresh natural pure
healthy delicious tasty homemade local farm farmers produce grocery deli butcher
breakfast brunch lunch dinner supper menu special specials order takeaway delivery
served happy hour buffet catering chef table reserved seats seating smoking dining
bottle bottles glass draught tap shop shops store stores mall plaza centre outlet
boutique fashion clothing clothes shoes boots sneakers bags leather jewellery jewelry
gold silver diamond watches watch gifts gift toys games books bookshop stationery paper
news magazine press times post express mail parcel courier stamps bank exchange currency
money loans credit savings insurance mortgage finance investment trust capital group
company limited corporation international global world national royal federal state
public council police sheriff law legal solicitors lawyers notary accountants tax estate
agents realty homes houses apartments flats villa residence rent lease sold auction
furniture carpets curtains beds mattress sofa lamps lighting electrical electric
electronics computer computers laptop phone phones mobile repair repairs service
services support help desk camera photo photography print printing copy studio design
designs art arts craft crafts frames music guitar piano drums records vinyl radio audio
video film movie movies show shows live concert festival dance club party karaoke comedy
stage band tour event events exhibition fair sport sports fitness gym yoga pilates
swimming pool tennis football soccer golf hockey boxing cricket rugby skating ski bike
bikes bicycle cycle cycles motor motors auto car cars truck van rental hire garage tyres
tires brakes exhaust wash valet fuel petrol diesel gas oil charging unleaded premium
super ultra extra plus max mini mega maximum minimum height width weight clearance load
capacity persons tonnes feet metres miles yards inches litres grams kilos pounds dollars
euros pence cents price prices value save saving discount offer offers deal deals
bargain half free buy get off percent best better quality original genuine classic
modern vintage antique antiques retro luxury deluxe standard basic economy budget bonus
reward rewards points member members membership join register sign login online website
email contact call dial number address visit follow share like scan code wifi internet
password network server signal power energy solar voltage high low hot cold warm cool
dry clean dirty safe safety secure locked unlocked key keys locksmith hardware tools
paint paints timber lumber building builders supplies plumbing heating boiler tiles
flooring glazing windows doors roofing fencing garden nursery flowers florist plants
seeds soil lawn trees forest river lake beach ocean sea bay coast island mountain hill
valley canyon falls trail trails path footpath camping camp picnic area wildlife reserve
sanctuary zoo aquarium fishing diving surfing boating sailing marina yacht boat boats
lifeguard rescue coastguard beware dog dogs cat cats pets pet vet animals horses cattle
birds feed feeding prohibited forbidden allowed permitted authorized personnel
trespassing violators prosecuted surveillance recording cctv monitored guard patrol
neighbourhood children baby kids family adults seniors students teachers parents men
women boys girls unisex disabled access wheelchair ramp elevator escalator handrail hold
mind gap step steps your head hands soap towel shower bath restroom washroom bathroom
toilet changing litter rubbish trash recycle recycling waste bin bins plastic metal cans
compost hazard hazardous flammable toxic poison corrosive explosive radiation biohazard
chemical acid laboratory research science institute academy training education learning
lessons courses tuition kindergarten primary secondary department faculty lecture room
block wing tower unit warehouse depot factory plant industrial works yard loading goods
inwards shipping cargo freight logistics transport haulage removals storage container
heavy vehicles trailer crane scaffold construction site hard hats helmets goggles gloves
must worn beyond point report manager director hair salon barber barbers beauty nails
spa massage tanning tattoo piercing cosmetics perfume skin care optician eyewear glasses
lenses laundry laundrette cleaners alterations tailor tailors fabrics wool cotton silk
denim jeans shirts dresses suits socks smoke vape tobacco cigars lottery casino bingo
betting poker jackpot winner winners travel agency tours flights cruises adventure
explore discover experience journey heritage castle palace abbey manor priory memorial
monument statue cemetery historic ancient founded established since anno estd sons
brothers king queen prince princess lord lady knight crown lion eagle swan bear wolf fox
bull stag horse dragon unicorn phoenix tiger panther falcon hawk raven owl dolphin whale
anchor ship star moon sun sky rainbow cloud storm thunder lightning wind rain snow frost
flame red blue green yellow purple pink brown black white grey golden crimson scarlet
emerald ruby sapphire pearl amber coral ivory ebony indigo violet turquoise magenta oak
elm maple birch willow cedar pine palm rose lily tulip daisy orchid jasmine lavender
acorn meadow orchard vineyard harvest mill miller baker smith mason cooper fisher hunter
taylor johnson williams jones davis wilson moore clark lewis walker young wright scott
adams nelson carter mitchell roberts turner phillips campbell parker evans edwards
collins stewart morris rogers reed cook morgan bell murphy bailey london paris rome
berlin madrid vienna oxford cambridge york bristol dublin boston chicago texas florida
california washington lincoln jackson franklin madison victoria albert george edward
henry william charles james john mary anne alice rosie charlie love peace hope joy faith
dream dreams smile laugh enjoy relax celebrate congratulations hello goodbye goodnight
yes maybe always never ever forever together tonight think create build make inspire
innovate connect solutions systems technology digital media creative consulting partners
associates ventures enterprise industries products brands label collection edition
series volume chapter page part model type size small medium large single double triple
full empty quarter total amount change due date expires valid until before after between
during above below under over about again around because every everything some something
nothing nowhere where when what which who why how this that these those with without
within from into onto ready set go start finish pause play record reset cancel confirm
enter return insert remove select button switch slide hook handle lever valve pressure
temperature battery charger cable adapter socket fuse meter gauge mild strong bold light
dark smooth crunchy crispy creamy roasted baked grilled fried smoked salted unsalted
sweetened frozen chilled ambient vitamin protein calcium fibre calories ingredients
nutrition contains allergy advice instructions batch shampoo conditioner lotion
detergent bleach tissue napkins batteries candles matches medicine tablets capsules
syrup aspirin dosage prescription vaccine testing vote election labour democrat
republican candidate mayor senate congress parliament union strike rally protest freedom
justice equality rights democracy
"""

COMMON_WORDS: tuple[str, ...] = tuple(_WORDS.split())
